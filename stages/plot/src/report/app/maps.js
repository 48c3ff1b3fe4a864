// Attention maps on canvases: queries run down, keys across.
import { triangle, weight } from "./codec.js";
import { signedPixel } from "./colour.js";
import { svgEl } from "./dom.js";
import { visible } from "./text.js";

/** Draws the cells of one head, a pixel each, on a canvas of that size; what lies above the diagonal stays clear. */
export function drawMap(canvas, cells, side, colours) {
    const { context, image, pixels } = surface(canvas, side);
    let at = 0;
    for (let row = 0; row < side; row += 1) {
        const begin = row * side;
        for (let key = 0; key <= row; key += 1) pixels[begin + key] = colours[cells[at++]];
    }
    context.putImageData(image, 0, 0);
}

/** Draws the difference of two maps, the colour going with the root of its size, as a map's does. */
export function drawDifference(canvas, cells, others, side, dark) {
    const { context, image, pixels } = surface(canvas, side);
    let at = 0;
    for (let row = 0; row < side; row += 1) {
        for (let key = 0; key <= row; key += 1, at += 1) {
            const difference = weight(cells[at]) - weight(others[at]);
            pixels[row * side + key] = signedPixel(dark, Math.sign(difference) * Math.sqrt(Math.abs(difference)));
        }
    }
    context.putImageData(image, 0, 0);
}

/** Draws rows of levels, a pixel each, which end at the right edge of a canvas of that width. */
export function drawRows(canvas, rows, width, colours) {
    const { context, image, pixels } = surface(canvas, width, rows.length);
    pixels.fill(0);
    rows.forEach((row, at) => row.forEach((level, column) => { pixels[(at + 1) * width - row.length + column] = colours[level]; }));
    context.putImageData(image, 0, 0);
}

const surfaces = new WeakMap();
/** How many attended characters a table has. */
const TOP = 10;

function surface(canvas, width, height = width) {
    let found = surfaces.get(canvas);
    if (!found || found.width !== width || found.height !== height) {
        canvas.width = width;
        canvas.height = height;
        const context = canvas.getContext("2d");
        const image = context.createImageData(width, height);
        found = { width, height, context, image, pixels: new Uint32Array(image.data.buffer) };
        surfaces.set(canvas, found);
    }
    return found;
}

/** The attention of one query to each key. */
export function queryRow(cells, query) {
    return Array.from(cells.subarray(triangle(query), triangle(query) + query + 1), weight);
}

/** The attention that each query, from `key` on, gives one key; none before. */
export function keyColumn(cells, key, side) {
    return Array.from({ length: side }, (_, query) => (query < key ? null : weight(cells[triangle(query) + key])));
}

/** How far back each query attends: the mean over keys of their distance, in tokens, weighted by attention. */
export function distances(cells, side, block = 1) {
    return Array.from({ length: side }, (_, query) => {
        const row = queryRow(cells, query), whole = row.reduce((sum, weight) => sum + weight, 0);
        return whole > 0 ? block * row.reduce((sum, weight, key) => sum + weight * (query - key), 0) / whole : 0;
    });
}

/** The characters that a head attends to most, by share or by ratio to uniform attention. */
export function topAttended(shares, begin, uniform, rank, count = TOP) {
    const all = uniform.map((share, at) => ({ at, share: shares[begin + at], uniform: share, ratio: share > 0 ? shares[begin + at] / share : null }));
    const key = rank === "ratio" ? "ratio" : "share";
    return all.sort((one, other) => (other[key] ?? 0) - (one[key] ?? 0) || one.at - other.at).slice(0, count);
}

/** The characters of a map's axis as SVG, so that they are sharp at any size; null leaves a place free; `size` is the length of the axis. */
export function axisOf(symbols, size, vertical) {
    const pitch = size / symbols.length, font = Math.min(12, Math.max(4, pitch * 0.95)), wide = 16;
    const svg = svgEl("svg", {
        class: vertical ? "mapaxis down" : "mapaxis across", "aria-hidden": "true", preserveAspectRatio: "none",
        viewBox: vertical ? `0 0 ${wide} ${size}` : `0 0 ${size} ${wide}`,
    });
    symbols.forEach((symbol, at) => {
        const middle = (at + 0.5) * pitch, shown = symbol === null ? "" : [...visible(symbol)].slice(0, 4).join("");
        svg.append(svgEl("text", {
            "font-size": shown.length > 1 ? Math.min(font, 14 / shown.length * 1.6) : font, "text-anchor": "middle",
            x: vertical ? wide / 2 : middle, y: vertical ? middle + font * 0.35 : wide / 2 + font * 0.35,
        }, `\u2068${shown}\u2069`));
    });
    return svg;
}
