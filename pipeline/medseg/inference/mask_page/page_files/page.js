// Finds and sorts; the page says everything without it.
"use strict";
document.documentElement.classList.add("scripted");
const main = document.querySelector("main");
const cases = Array.from(main.querySelectorAll("article"), (article, place) => ({
  article, place, name: article.dataset.name, isFlagged: "flagged" in article.dataset,
}));
const [find, flagged, order] = ["find", "flagged", "order"].map((id) => document.getElementById(id));

function show() {
  const text = find.value.trim().toLowerCase();
  let seen = 0;
  for (const one of cases) {
    one.article.hidden = !one.name.includes(text) || (flagged.checked && !one.isFlagged);
    seen += !one.article.hidden;
  }
  document.getElementById("says").textContent = `${seen.toLocaleString("en")} of ${cases.length.toLocaleString("en")} shown`;
  document.getElementById("nothing").hidden = seen > 0;
}

function sort() {
  const byName = order.value === "1";
  cases.sort((one, other) => (byName ? one.name.localeCompare(other.name, "en", { numeric: true }) : one.place - other.place));
  document.getElementById("nothing").before(...cases.map((one) => one.article));
}

if (find) {
  find.addEventListener("input", show);
  flagged.addEventListener("change", show);
  order.addEventListener("change", sort);
  sort(); // Browsers keep what was chosen over a reload.
  show();
}
