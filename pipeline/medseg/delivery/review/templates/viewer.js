// The viewer: NiiVue with the scan as its volume and the mask as its drawing.
let nv = null;
let original = null; // mask of the case as it was drawn
let onPaint = () => {};

function hasWebGl() {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null && typeof DecompressionStream === "function";
  } catch {
    return false;
  }
}

async function startViewer() {
  nv = new niivue.Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [0.5, 0.75, 1, 0.8], crosshairWidth: 0.15, crosshairWidthUnit: "percent", fontColor: [1, 1, 1, 0.9], dragAndDropEnabled: false, isColorbar: false,
    isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: 1, multiplanarLayout: 2, show3Dcrosshair: false,
    clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "", logLevel: "error", loadingText: "", maxDrawUndoBitmaps: 16,
    isCornerOrientationText: false, fontMinPx: 13, fontSizeScaling: 0.35, isNearestInterpolation: false, renderOverlayBlend: 1,
  });
  await nv.attachTo("canvas");
  nv.onDrawingChanged = (action) => { if (action === "draw" || action === "undo") onPaint(); };
}

const MANY_VOXELS = 3e7; // beyond which the 3D view is drawn only when it is asked for

async function openVolumes(number) {
  const one = cases[number];
  const [image, mask] = await Promise.all([unpacked(`image-${number}`), unpacked(`mask-${number}`)]);
  nv.closeDrawing();
  while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
  nv.opts.isRadiologicalConvention = !one.isPicture;
  nv.opts.multiplanarShowRender = one.shape.reduce((product, size) => product * size) > MANY_VOXELS ? 0 : 1;
  nv.opts.isOrientationTextVisible = !one.isPicture;
  await nv.loadFromArrayBuffer(niftiOf(one, image), "scan.nii");
  original = mask;
  nv.createEmptyDrawing();
  nv.drawBitmap.set(mask);
  if (work[number].edits) applyEdits(number, nv.drawBitmap, work[number].edits);
  nv.drawClearAllUndoBitmaps();
  nv.drawAddUndoBitmap();
  nv.refreshDrawing(true);
}

function setWindow([low, high]) {
  const [volume] = nv.volumes;
  [volume.cal_min, volume.cal_max] = [low, high];
  nv.updateGLVolume();
}

function setColours(hidden) {
  const none = { name: "", colour: [0, 0, 0] };
  const shown = Array.from({ length: 256 }, (_, place) => facts.structures[place - 1] || none);
  const part = (n) => shown.map((structure) => structure.colour[n]);
  const opaque = shown.map((structure, place) => (structure === none || hidden.has(place) ? 0 : 255));
  nv.drawLut = niivue.cmapper.makeDrawLut({ R: part(0), G: part(1), B: part(2), A: opaque, I: shown.map((_, place) => place), labels: shown.map((structure) => structure.name) });
  nv.refreshColormaps(); // not updateGLVolume, which sends the whole scan to the graphics card again
  nv.drawScene();
}

function goTo(place) {
  nv.scene.crosshairPos = nv.vox2frac(place);
  nv.createOnLocationChange();
  nv.drawScene();
}

function setTool(tool, structure, size) {
  nv.setDrawingEnabled(tool !== "look");
  if (tool !== "look") nv.setPenValue(tool === "erase" ? 0 : structure, tool === "fill");
  nv.opts.penSize = size;
}
