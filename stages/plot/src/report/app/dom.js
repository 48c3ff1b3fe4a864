// Elements. Text is only ever set as text, so nothing that a table says becomes markup.
import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

/** An element of HTML; attributes whose names begin with `on` are listeners. */
export function el(tag, attributes = {}, ...children) {
    return filled(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svgEl(tag, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** A labelled choice. `options` are pairs of value and text; a group is a text and its pairs. */
export function choice(label, options, value, change) {
    const option = ([key, text]) => el("option", { value: key, selected: key === value }, text);
    const entries = options.map((one) => (Array.isArray(one[1]) ? el("optgroup", { label: one[0] }, one[1].map(option)) : option(one)));
    const select = el("select", { onchange: () => change(select.value) }, entries);
    return el("label", { class: "choice" }, el("span", {}, label), select);
}

/** A table with a caption, in a region that scrolls. */
export function table(caption, headings, rows, attributes = {}) {
    const region = { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" };
    return el("div", region, el("table", attributes,
        el("caption", {}, caption),
        el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, rows)));
}

/** Says in a view why there is nothing in it. */
export function empty(root, app, why) {
    root.replaceChildren(el("p", { class: "empty" }, app.study.pending ? "Not there yet: the study still runs, or was interrupted. The overview lists what is missing." : why));
    return { update() {} };
}

/** Symbols one by one, to be marked: an element for each, and these with line breaks as the text has them. */
export function symbolSpans(symbols, classOf) {
    const spans = symbols.map((symbol, at) => el("span", { class: [symbol === "\n" && "feed", classOf?.(at)].filter(Boolean).join(" ") || null }, el("bdi", {}, visible(symbol))));
    return [spans, spans.flatMap((span, at) => (symbols[at].endsWith("\n") ? [span, el("br")] : [span]))];
}

/** Where a key moves a mark over a text from `at`, up to `last`; null for other keys. */
export function movedBy(event, at, last) {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return null;
    event.preventDefault();
    return Math.min(last, Math.max(0, at + by));
}

/** A button that plays: `begin`, then `tick` at a pace until it returns false, then `end`. */
export function player(label, pace, { begin, tick, end }) {
    let timer = null;
    const button = el("button", { type: "button", class: "play", "aria-label": label, onclick: () => (timer ? stop() : start()) }, "▶");
    function show(text, name) { button.textContent = text; button.setAttribute("aria-label", name); }
    function start() {
        begin();
        show("❚❚", "Pause");
        timer = setInterval(() => { if (!button.isConnected || tick() === false) stop(); }, pace);
    }
    function stop() {
        if (timer === null) return;
        clearInterval(timer);
        timer = null;
        show("▶", label);
        end?.();
    }
    /** Stops without `end`, as when the view is left. */
    const leave = () => clearInterval(timer);
    return { button, stop, leave, playing: () => timer !== null };
}

/** Puts an SVG into the page until it is saved, so that it has the page's style. */
export function attached(root, svg) {
    root.append(svg);
    queueMicrotask(() => svg.remove());
    return svg;
}

/** Whether the page is dark. */
export function isDark() {
    return matchMedia("(prefers-color-scheme: dark)").matches;
}
