// What the reader has done: verdicts, comments, time and corrections, kept in the browser and saved as a file.
"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const cases = facts.cases;
const work = cases.map(() => ({ verdict: null, comment: "", decided: "", seconds: 0, edits: null }));
const storeName = `medseg review ${facts.key}`;
let isSaved = true;

function nowInUtc() {
  return new Date().toISOString().slice(0, 19) + "+00:00";
}

// Voxels that differ, each numbered as in the mask's own array; sorted, in runs of neighbours, by value.
function editsOf(number, bitmap, original) {
  const [one, [width, height]] = [cases[number], cases[number].shape];
  const [si, sj, sk] = one.strides;
  const found = new Map();
  for (let at = 0; at < bitmap.length; at++) {
    if (bitmap[at] === original[at]) continue;
    const i = at % width;
    const j = Math.floor(at / width) % height;
    const k = Math.floor(at / (width * height));
    if (!found.has(bitmap[at])) found.set(bitmap[at], []);
    found.get(bitmap[at]).push(one.base + i * si + j * sj + k * sk);
  }
  return Array.from(found, ([structure, voxels]) => ({ value: structure ? facts.structures[structure - 1].value : 0, runs: runsOf(voxels) }));
}

function runsOf(voxels) {
  const sorted = Float64Array.from(voxels).sort();
  const runs = [];
  for (const voxel of sorted) {
    const last = runs.length - 2;
    if (last >= 0 && runs[last] + runs[last + 1] === voxel) runs[last + 1] += 1;
    else runs.push(voxel, 1);
  }
  return runs;
}

// The same voxels on the page's axes.
function applyEdits(number, bitmap, edits) {
  const one = cases[number];
  const structureOf = new Map(facts.structures.map((structure, place) => [structure.value, place + 1]));
  const axes = [0, 1, 2].sort((a, b) => Math.abs(one.strides[b]) - Math.abs(one.strides[a]));
  for (const { value, runs } of edits) {
    for (let run = 0; run < runs.length; run += 2) {
      for (let voxel = runs[run]; voxel < runs[run] + runs[run + 1]; voxel++) {
        const place = [0, 0, 0];
        let rest = voxel;
        for (const axis of axes) {
          const stride = Math.abs(one.strides[axis]);
          const index = Math.floor(rest / stride);
          rest -= index * stride;
          place[axis] = one.strides[axis] < 0 ? one.shape[axis] - 1 - index : index;
        }
        bitmap[place[0] + one.shape[0] * (place[1] + one.shape[1] * place[2])] = value ? structureOf.get(value) : 0;
      }
    }
  }
}

function isTouched(one) {
  return one.verdict !== null || one.comment !== "" || (one.edits !== null && one.edits.length > 0);
}

function reviewDocument(reader) {
  return {
    medseg_review: 1,
    software: facts.software,
    reader,
    saved: nowInUtc(),
    cases: work.flatMap((one, number) => (isTouched(one) ? [{
      case_id: cases[number].id, mask_sha256: cases[number].sha256, verdict: one.verdict, comment: one.comment,
      decided: one.decided, seconds: Math.round(one.seconds), edits: one.edits || [],
    }] : [])),
  };
}

function keepInBrowser(reader) {
  try {
    localStorage.setItem(storeName, JSON.stringify({ reader, work }));
    return true;
  } catch {
    return false; // Not allowed, or full: the file is what counts.
  }
}

function takeFromBrowser() {
  try {
    const kept = JSON.parse(localStorage.getItem(storeName));
    kept.work.forEach((one, number) => Object.assign(work[number], one));
    return kept.reader;
  } catch {
    return "";
  }
}
