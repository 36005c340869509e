// The page: list of cases, verdicts, structures, tools and keys.
const $ = (id) => document.getElementById(id);
const canShow = hasWebGl();
const hidden = new Set();
let current = -1;
let tool = "look";
let pen = 1;
let isBusy = false;
let lastTick = performance.now();
let pending = 0;

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function say(text) {
  $("status").textContent = text;
}

function keep() {
  isSaved = false;
  const isKept = keepInBrowser($("reader").value);
  const done = work.filter((one) => one.verdict).length;
  say(`${done} of ${cases.length} decided; ${isKept ? "not saved as a file yet" : "not kept in this browser: save often"}`);
}

function tick() {
  const now = performance.now();
  if (current >= 0 && document.visibilityState === "visible") work[current].seconds += Math.min(now - lastTick, 5000) / 1000;
  lastTick = now;
}

function listCases() {
  $("list").replaceChildren(...cases.map((one, number) => {
    const button = element("button");
    button.type = "button";
    button.append(element("span", one.id, "id"));
    if (one.flags.length) button.append(element("span", `⚠${one.flags.length}`, "flagged"));
    button.append(element("span", "", "mark"));
    button.addEventListener("click", () => openCase(number));
    const item = element("li");
    item.append(button);
    return item;
  }));
  cases.forEach((_, number) => showVerdict(number));
}

function showVerdict(number) {
  const button = $("list").children[number].firstChild;
  const mark = button.querySelector(".mark");
  const { verdict, edits } = work[number];
  mark.textContent = (verdict === "accepted" ? "✓" : verdict === "rejected" ? "✗" : "") + (edits && edits.length ? "✎" : "");
  mark.className = `mark ${verdict || ""}`;
  button.setAttribute("aria-current", number === current);
  if (number !== current) return;
  $("accept").setAttribute("aria-pressed", verdict === "accepted");
  $("reject").setAttribute("aria-pressed", verdict === "rejected");
  $("accept").textContent = edits && edits.length ? "✓ Accept corrected" : "✓ Accept";
  const voxels = (edits || []).reduce((sum, edit) => sum + edit.runs.reduce((part, length, n) => part + (n % 2 ? length : 0), 0), 0);
  $("changes").textContent = voxels ? `${voxels.toLocaleString("en")} voxel${voxels === 1 ? "" : "s"} corrected` : "";
}

function decide(verdict) {
  if (current < 0 || isBusy) return; // what is not on the screen yet was not read
  takeEdits();
  const one = work[current];
  one.verdict = one.verdict === verdict ? null : verdict;
  one.decided = one.verdict ? nowInUtc() : "";
  showVerdict(current);
  keep();
}

function takeEdits() {
  clearTimeout(pending);
  pending = 0;
  if (!nv || !nv.drawBitmap || !original || isBusy) return;
  work[current].edits = editsOf(current, nv.drawBitmap, original);
  listStructures();
}

onPaint = () => {
  clearTimeout(pending);
  pending = setTimeout(() => {
    takeEdits();
    if (work[current].verdict === "accepted") Object.assign(work[current], { verdict: null, decided: "" }); // of another mask
    showVerdict(current);
    keep();
  }, 300);
};

function listStructures() {
  const one = cases[current];
  const counts = nv && nv.drawBitmap && work[current].edits && work[current].edits.length ? countsOf(nv.drawBitmap) : null;
  const voxel = one.spacing.reduce((product, side) => product * side, 1) / 1000;
  const unit = one.isPicture ? voxel : 1; // pictures are measured in pixels
  $("unit").textContent = one.isPicture ? "pixels" : "ml";
  const text = $("find").value.trim().toLowerCase();
  const rows = facts.structures.map((structure, place) => {
    const number = place + 1;
    const volume = counts ? counts[number] * voxel : one.volumes[place] || 0;
    const row = element("tr");
    row.className = `${hidden.has(number) ? "off " : ""}${number === pen ? "pen " : ""}${volume > 0 ? "" : "absent"}`;
    row.hidden = !structure.name.toLowerCase().includes(text);
    const colour = element("button", "", "colour");
    colour.style.background = `rgb(${structure.colour})`;
    colour.title = "hide or show";
    colour.addEventListener("click", () => toggle(number));
    const name = element("button", structure.name);
    name.title = "go there, and paint it";
    name.addEventListener("click", () => choose(number, true));
    const sure = one.confidence[place] ?? null;
    for (const content of [colour, name, volume > 0 ? Number((volume / unit).toPrecision(4)).toLocaleString("en") : "–", sure === null ? "" : sure.toFixed(2)]) {
      const cell = element("td");
      cell.append(content);
      row.append(cell);
    }
    return { row, isPresent: volume > 0 };
  });
  const shown = [...rows.filter((one) => one.isPresent), ...rows.filter((one) => !one.isPresent)];
  $("structures").tBodies[0].replaceChildren(...shown.map((one) => one.row));
  $("find").hidden = rows.length < 12;
  $("pen").textContent = tool === "erase" ? "nothing (erases)" : facts.structures[pen - 1] ? facts.structures[pen - 1].name : "";
}

function toggle(number) {
  if (!hidden.delete(number)) hidden.add(number);
  if (nv) setColours(hidden);
  listStructures();
}

function choose(number, doesGo) {
  if (number > facts.structures.length) return;
  pen = number;
  useTool(tool);
  const place = doesGo && nv && nv.drawBitmap ? middleOf(nv.drawBitmap, cases[current].shape, number) : null;
  if (place) goTo(place);
}

function useTool(chosen) {
  tool = canShow ? chosen : "look";
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  if (nv && nv.volumes.length) setTool(tool, pen, Number($("size").value));
  if (current >= 0) listStructures();
}

function setSize(size) {
  $("size").value = size;
  $("pixels").textContent = $("size").value;
  useTool(tool);
}

function setOpacity(opacity) {
  $("opacity").value = opacity;
  $("mask").setAttribute("aria-pressed", true);
  $("mask").textContent = "shown";
  if (nv) nv.setDrawOpacity(Number($("opacity").value));
}

function toggleMask() {
  const isShown = $("mask").getAttribute("aria-pressed") !== "true";
  $("mask").setAttribute("aria-pressed", isShown);
  $("mask").textContent = isShown ? "shown" : "hidden";
  if (nv) nv.setDrawOpacity(isShown ? Number($("opacity").value) : 0);
}

const HU = [["soft tissue", -160, 240], ["lung", -1350, 150], ["bone", -450, 1050], ["brain", 0, 80], ["wide", -1000, 1500]];
function listWindows(one) {
  const { window: first, isHu, levels } = one.image;
  const ranges = !first ? [] : isHu ? HU : [["usual", ...first], ["full", levels[0], levels[255]], ["brighter", first[0], first[0] + (first[1] - first[0]) * 0.6]];
  $("window").replaceChildren(...ranges.map(([name, low, high]) => {
    const option = element("option", name);
    option.value = JSON.stringify([low, high]);
    return option;
  }));
  $("window").hidden = ranges.length === 0;
}

function setView(view) {
  $("view").value = view;
  const one = cases[current];
  const flat = one.shape.indexOf(1);
  if (nv) nv.setSliceType(flat >= 0 ? 2 - flat : Number(view));
  $("view").disabled = flat >= 0;
}

async function openCase(number) {
  if (number < 0 || number >= cases.length || number === current || isBusy) return;
  tick();
  if (pending) takeEdits();
  const before = current;
  current = number;
  const one = cases[number];
  $("name").textContent = one.id;
  $("place").textContent = `${number + 1} of ${cases.length}`;
  $("comment").value = work[number].comment;
  const notes = [one.inTraining && "seen in training", one.isEdited && "a person changed this mask after it was drawn"].filter(Boolean);
  $("flags").replaceChildren(...one.flags.map((text) => element("li", text)), ...notes.map((text) => element("li", text, "note")));
  if (before >= 0) showVerdict(before);
  showVerdict(number);
  listWindows(one);
  if (canShow) await showVolumes(number);
  else {
    $("picture").src = one.picture;
    document.body.dataset.shown = number;
  }
  listStructures();
  $("list").children[number].scrollIntoView({ block: "nearest" });
}

async function showVolumes(number) {
  isBusy = true;
  $("loading").hidden = false;
  await new Promise((done) => setTimeout(done));
  try {
    await openVolumes(number);
    setColours(hidden);
    setView($("view").value);
    setOpacity(Number($("opacity").value));
    const largest = cases[number].volumes.reduce((best, volume, place, all) => ((volume || 0) > (all[best] || 0) ? place : best), 0);
    const place = middleOf(nv.drawBitmap, cases[number].shape, largest + 1);
    if (place) goTo(place);
    setTool(tool, pen, Number($("size").value));
  } catch (error) {
    original = null;
    say(`${cases[number].id} cannot be shown: ${error.message}`);
  } finally {
    isBusy = false;
    $("loading").hidden = true;
    document.body.dataset.shown = number;
  }
}

function save() {
  const reader = $("reader").value.trim();
  if (!reader) {
    say("Please write your name first.");
    $("reader").focus();
    return;
  }
  tick();
  takeEdits();
  if (current >= 0) showVerdict(current);
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(reviewDocument(reader), null, 1)], { type: "application/json" }));
  link.download = "review.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  keepInBrowser(reader);
  isSaved = true;
  const undecided = work.filter((one) => one.edits && one.edits.length && !one.verdict).length;
  say(`saved as review.json in your downloads${undecided ? `; ${undecided} corrected but not accepted` : ""}`);
}

const VIEWS = ["3", "0", "1", "2", "4"];
const KEYS = {
  n: () => openCase(current + 1), p: () => openCase(current - 1), a: () => decide("accepted"), r: () => decide("rejected"),
  c: () => $("comment").focus(), b: () => useTool("brush"), f: () => useTool("fill"), e: () => useTool("erase"), v: () => useTool("look"),
  escape: () => useTool("look"), z: () => nv && nv.drawUndo(), s: save, " ": toggleMask, "?": () => $("keys").showModal(),
  "[": () => setSize(Number($("size").value) - 2), "]": () => setSize(Number($("size").value) + 2),
  tab: () => setView(VIEWS[(VIEWS.indexOf($("view").value) + 1) % VIEWS.length]),
};
for (let number = 1; number < 10; number++) KEYS[number] = () => choose(number, false);

window.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=range]), select, dialog *");
  if (event.key === "Enter" && event.target === $("comment")) event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const action = key === "o" ? () => setOpacity(Number($("opacity").value) + (event.shiftKey ? -0.1 : 0.1)) : KEYS[key];
  if (!action || (key === "tab" && event.shiftKey)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  action();
}, true);

$("next").addEventListener("click", () => openCase(current + 1));
$("previous").addEventListener("click", () => openCase(current - 1));
$("accept").addEventListener("click", () => decide("accepted"));
$("reject").addEventListener("click", () => decide("rejected"));
$("comment").addEventListener("input", () => { work[current].comment = $("comment").value; keep(); });
$("reader").addEventListener("change", keep);
$("save").addEventListener("click", save);
$("help").addEventListener("click", KEYS["?"]);
$("undo").addEventListener("click", KEYS.z);
$("mask").addEventListener("click", toggleMask);
$("find").addEventListener("input", listStructures);
$("size").addEventListener("input", () => setSize($("size").value));
$("opacity").addEventListener("input", () => setOpacity($("opacity").value));
$("window").addEventListener("change", () => nv && setWindow(JSON.parse($("window").value)));
$("view").addEventListener("change", () => setView($("view").value));
for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => useTool(button.dataset.tool));
document.addEventListener("visibilitychange", tick);
setInterval(tick, 1000);
window.addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });

(async () => {
  $("reader").value = takeFromBrowser() || "";
  listCases();
  if (canShow) await startViewer();
  else {
    $("canvas").hidden = true;
    $("fallback").hidden = false;
    $("tools").disabled = true;
    $("why").textContent = "This browser shows no volumes: it lacks WebGL 2 or is too old. Verdicts and comments can be given on the pictures; corrections need a current Chrome, Edge, Firefox or Safari.";
  }
  await openCase(0);
})();
