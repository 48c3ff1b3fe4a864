// Symbols of any text as something visible: control characters, spaces, right-to-left marks and bytes have a picture of their own.

const PICTURES = new Map([["\n", "↵"], ["\t", "⇥"], ["\r", "␍"], [" ", "␣"], ["\u00a0", "⍽"], ["\u00ad", "‑"]]);
const NAMES = new Map([["\n", "line feed"], ["\t", "tab"], ["\r", "carriage return"], [" ", "space"], ["\u00a0", "no-break space"]]);

/** Whether a code point draws nothing, or changes how its neighbours are drawn. */
function isInvisible(symbol) {
    return /^[\p{C}\p{Z}]+$/u.test(symbol);
}

function hex(symbol) {
    return [...symbol].map((one) => {
        const code = one.codePointAt(0);
        return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
    }).join("");
}

/** A symbol as one that can be seen: `↵` for a line feed, `\x07` for a control character, a mark on a dotted circle. */
export function visible(symbol) {
    if (symbol === "") return "∅";
    if (PICTURES.has(symbol)) return PICTURES.get(symbol);
    if ([...symbol].length > 1) return [...symbol].map(visible).join("");
    if (isInvisible(symbol)) return hex(symbol);
    return /^\p{M}$/u.test(symbol) ? `◌${symbol}` : symbol;
}

/** A symbol in words, for tables and screen readers. */
export function spoken(symbol) {
    return NAMES.get(symbol) ?? (isInvisible(symbol) || symbol === "" ? `character ${hex(symbol) || "of no length"}` : `“${visible(symbol)}”`);
}

/** A symbol in the middle of a sentence: `the space character`, `the character “e”`. */
export function inSentence(symbol) {
    const name = spoken(symbol);
    return NAMES.has(symbol) ? `the ${name} character` : `the ${name.startsWith("“") ? `character ${name}` : name}`;
}

/** A text for an element that keeps white space: line feeds and tabs are kept, everything else that is invisible is shown. */
export function printable(text) {
    return [...text].map((symbol) => (symbol === "\n" || symbol === "\t" || symbol === " " ? symbol : visible(symbol))).join("");
}
