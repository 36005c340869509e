// Sorts, filters and greys; the page says everything without it.
"use strict";
document.documentElement.classList.add("scripted");
const body = document.getElementById("studies");
const rows = body ? Array.from(body.rows, (row) => ({
  row,
  name: row.querySelector(".case bdi").textContent.toLowerCase(),
  rank: row.querySelector(".rank"),
  ranks: row.dataset.ranks.split(" ").map(Number),
  shares: row.dataset.shares.split(" ").map(Number),
})) : [];
const buttons = Array.from(document.querySelectorAll("[data-column]"));
const find = document.getElementById("find");
const threshold = document.getElementById("threshold");
let column = 0;

function studies(number) {
  return number.toLocaleString("en") + (number === 1 ? " study" : " studies");
}

function grey() {
  const least = Number(threshold.value);
  let above = 0;
  let seen = 0;
  for (const one of rows) {
    const isBelow = one.shares[column] < least;
    one.row.classList.toggle("below", isBelow);
    above += !isBelow;
    seen += !one.row.hidden;
  }
  document.getElementById("chosen").textContent = least.toFixed(2);
  const name = buttons[column].querySelector("bdi").textContent;
  const found = seen < rows.length ? `; ${studies(seen)} shown` : "";
  document.getElementById("says").textContent =
    `${above.toLocaleString("en")} of ${studies(rows.length)} at or above ${least.toFixed(2)} (${name})${found}`;
  document.getElementById("nothing").hidden = seen > 0;
}

function filter() {
  const text = find.value.trim().toLowerCase();
  for (const one of rows) one.row.hidden = !one.name.includes(text);
  for (const row of document.querySelectorAll("#failures tr")) {
    row.hidden = !row.querySelector("bdi").textContent.toLowerCase().includes(text);
  }
  grey();
}

function sort(chosen) {
  column = chosen;
  rows.sort((one, other) => one.ranks[column] - other.ranks[column]);
  for (const one of rows) one.rank.textContent = one.ranks[column];
  body.append(...rows.map((one) => one.row));
  for (const button of buttons) {
    const isChosen = Number(button.dataset.column) === column;
    if (isChosen) button.parentElement.setAttribute("aria-sort", "descending");
    else button.parentElement.removeAttribute("aria-sort");
  }
  grey();
}

if (body) {
  find.addEventListener("input", filter);
  threshold.addEventListener("input", grey);
  for (const button of buttons) button.addEventListener("click", () => sort(Number(button.dataset.column)));
  filter(); // Browsers keep what was typed over a reload.
}
