// Elements. Text is only ever set as text, so nothing that a table says becomes markup.

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

/** Whether the page is dark. */
export function isDark() {
    return matchMedia("(prefers-color-scheme: dark)").matches;
}
