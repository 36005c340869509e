// Filters only; the page is complete without it.
document.documentElement.classList.add("scripted");
const shown = { severity: "all", check: "", text: "" };
function apply() {
  document.querySelectorAll("[data-severity]").forEach((row) => {
    const fits = (shown.severity === "all" || row.dataset.severity === shown.severity)
      && (!shown.check || (" " + row.dataset.check + " ").includes(" " + shown.check + " "))
      && (!shown.text || row.textContent.toLowerCase().includes(shown.text));
    row.hidden = !fits;
  });
  document.querySelectorAll("[data-set-severity]").forEach((button) =>
    button.setAttribute("aria-pressed", button.dataset.setSeverity === shown.severity));
  document.querySelectorAll("[data-set-check]").forEach((row) =>
    row.setAttribute("aria-pressed", row.dataset.setCheck === shown.check));
  const only = document.getElementById("only");
  if (only) {
    only.hidden = !shown.check;
    only.textContent = "only " + shown.check.replaceAll("_", " ") + " ×";
    only.setAttribute("aria-pressed", "true");
  }
  const empty = document.getElementById("nothing");
  if (empty) empty.hidden = document.querySelectorAll("tr[data-severity]:not([hidden])").length > 0;
}
document.addEventListener("click", (event) => {
  const severity = event.target.closest("[data-set-severity]");
  const check = event.target.closest("[data-set-check]");
  if (severity) shown.severity = severity.dataset.setSeverity;
  else if (check) shown.check = shown.check === check.dataset.setCheck ? "" : check.dataset.setCheck;
  else return;
  apply();
  if (check && shown.check) document.getElementById("findings").scrollIntoView();
});
document.addEventListener("input", (event) => {
  if (event.target.id !== "search") return;
  shown.text = event.target.value.trim().toLowerCase();
  apply();
});
