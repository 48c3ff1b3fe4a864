// What the page carries compressed: zlib in base64, unpacked by the browser when it is first shown.

/** The number of cells in the lower triangle of a square map. */
export function triangle(side) {
    return side * (side + 1) / 2;
}

/** The bytes of a base64 text. */
export function fromBase64(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
    return bytes;
}

/** Unpacks zlib. */
export async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The weight that a byte stands for: `q = round(255·√A)`. */
export function weight(byte) {
    return (byte / 255) ** 2;
}

/** The integers of two bytes, little-endian, 65,535 being 1, as shares. */
export function sharesOf(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Float64Array.from({ length: bytes.byteLength / 2 }, (_, at) => view.getUint16(2 * at, true) / 65535);
}
