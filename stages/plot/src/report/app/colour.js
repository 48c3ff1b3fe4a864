// Colours of maps and lines, for a light and a dark page.

const LIGHT = [[252, 252, 251], [222, 235, 240], [169, 208, 222], [98, 168, 198], [37, 116, 164], [16, 68, 117], [8, 29, 66]];
const DARK = [[27, 31, 35], [28, 52, 72], [22, 82, 112], [24, 122, 148], [64, 168, 168], [148, 212, 172], [248, 248, 196]];
const NEGATIVE = [[0, 114, 178], [213, 94, 0]];
/** Okabe and Ito's colours, which the colour-blind can tell apart, and their lighter kin for a dark page; then some for more seeds. */
const DISTINCT_LIGHT = ["#0072b2", "#d55e00", "#00835f", "#b14f8c", "#a86f00", "#2a86c0", "#4b4b4b", "#7b3fb0", "#8a1c1c", "#5f7d00"];
const DISTINCT_DARK = ["#5db4ec", "#ff9350", "#35c99d", "#e79cc6", "#f0b840", "#9ad4f7", "#c4c8cc", "#b99af0", "#f08a8a", "#b8d45a"];

function between(stops, share) {
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((channel, which) => Math.round(channel + (stops[low + 1][which] - channel) * (at - low)));
}

function packed([red, green, blue]) {
    return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

/** The colours of the 256 levels of a map, as pixels of a canvas. `scale`: `sqrt`, as the levels are, or `linear` in the weight. */
export function levels(dark, scale) {
    const stops = dark ? DARK : LIGHT;
    return Uint32Array.from({ length: 256 }, (_, level) => packed(between(stops, scale === "linear" ? (level / 255) ** 2 : level / 255)));
}

/** The colour of a share from 0 to 1 as CSS. */
export function cssLevel(dark, share) {
    return `rgb(${between(dark ? DARK : LIGHT, share).join(",")})`;
}

/** Black or white, whichever is easier to read on a colour of CSS, `rgb(r,g,b)`. */
export function inkOn(colour) {
    const linear = colour.match(/\d+/g).map((channel) => (channel / 255 <= 0.04045 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
    const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    // The contrast with white is 1.05 / (L + 0.05), with black (L + 0.05) / 0.05.
    return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000" : "#fff";
}

/** Red, green and blue of a signed value from −1 to 1: blue below 0, vermilion above. */
export function signed(dark, value) {
    const paper = dark ? DARK[0] : LIGHT[0];
    return between([paper, NEGATIVE[value < 0 ? 0 : 1].map((channel) => (dark ? Math.min(255, channel + 60) : channel))], Math.abs(value));
}

/** As a pixel of a canvas. */
export function signedPixel(dark, value) {
    return packed(signed(dark, value));
}

/** The colour of one of several things without order. */
export function distinct(dark, index) {
    const colours = dark ? DISTINCT_DARK : DISTINCT_LIGHT;
    return colours[index % colours.length];
}
