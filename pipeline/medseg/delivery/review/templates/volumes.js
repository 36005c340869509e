// Volumes of the page: out of base 64 and gzip, onto the scan's own grid, as NIfTI for the viewer.
async function unpacked(id) {
  const text = document.getElementById(id).textContent;
  const packed = new Uint8Array(Math.floor(text.length / 4) * 3);
  let size = 0;
  const block = 4 << 20;
  for (let start = 0; start < text.length; start += block) {
    const binary = atob(text.slice(start, start + block));
    for (let n = 0; n < binary.length; n++) packed[size++] = binary.charCodeAt(n);
  }
  const stream = new Blob([packed.subarray(0, size)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A NIfTI-1 file with straight axes; the voxels are those of the mask, so that a painted voxel is one of its own.
function niftiOf(one, codes) {
  const { levels, steps, shape } = one.image;
  const isColour = levels === null;
  const isWhole = !isColour && levels[0] >= -32768 && levels[255] <= 32767 && levels[255] - levels[0] > 512;
  const [kind, bits] = isColour ? [128, 24] : isWhole ? [4, 16] : [16, 32];
  const [width, height, depth] = one.shape;
  const buffer = new ArrayBuffer(352 + width * height * depth * (bits / 8));
  const header = new DataView(buffer);
  const ints = [[0, 348]];
  const shorts = [[40, 3], [42, width], [44, height], [46, depth], [48, 1], [50, 1], [52, 1], [54, 1], [70, kind], [72, bits], [252, 0], [254, 1]];
  const floats = [[76, 1], [80, one.spacing[0]], [84, one.spacing[1]], [88, one.spacing[2]], [108, 352], [112, 1],
    [280, one.spacing[0]], [300, one.spacing[1]], [320, one.spacing[2]]];
  if (one.image.window) floats.push([124, one.image.window[1]], [128, one.image.window[0]]); // as they are shown at first
  for (const [at, value] of ints) header.setInt32(at, value, true);
  for (const [at, value] of shorts) header.setInt16(at, value, true);
  for (const [at, value] of floats) header.setFloat32(at, value, true);
  header.setUint8(123, 2);
  [0x6e, 0x2b, 0x31].forEach((letter, n) => header.setUint8(344 + n, letter));
  if (isColour) {
    new Uint8Array(buffer, 352).set(codes); // red, green and blue of each pixel in turn
    return buffer;
  }
  const voxels = isWhole ? new Int16Array(buffer, 352) : new Float32Array(buffer, 352);
  const table = isWhole ? Int16Array.from(levels, Math.round) : Float32Array.from(levels);
  const column = Int32Array.from({ length: width }, (_, i) => Math.floor(i / steps[0]));
  let at = 0;
  for (let k = 0; k < depth; k++) {
    for (let j = 0; j < height; j++) {
      const row = shape[0] * (Math.floor(j / steps[1]) + shape[1] * Math.floor(k / steps[2]));
      for (let i = 0; i < width; i++) voxels[at++] = table[codes[row + column[i]]];
    }
  }
  return buffer;
}

function countsOf(bitmap) {
  const counts = new Uint32Array(256);
  for (let at = 0; at < bitmap.length; at++) counts[bitmap[at]] += 1;
  return counts;
}

// The voxel of a structure nearest to the middle of the slice that shows most of it; null where it has none.
function middleOf(bitmap, shape, structure) {
  const plane = shape[0] * shape[1];
  let best = { area: 0, k: 0, i: 0, j: 0 };
  for (let k = 0; k < shape[2]; k++) {
    let [area, i, j] = [0, 0, 0];
    for (let at = k * plane; at < (k + 1) * plane; at++) {
      if (bitmap[at] !== structure) continue;
      area += 1;
      i += at % shape[0];
      j += Math.floor((at - k * plane) / shape[0]);
    }
    if (area > best.area) best = { area, k, i: i / area, j: j / area };
  }
  if (best.area === 0) return null;
  let [found, distance] = [null, Infinity];
  for (let j = 0; j < shape[1]; j++) {
    for (let i = 0; i < shape[0]; i++) {
      const away = (i - best.i) ** 2 + (j - best.j) ** 2;
      if (away < distance && bitmap[i + shape[0] * j + plane * best.k] === structure) [found, distance] = [[i, j, best.k], away];
    }
  }
  return found;
}
