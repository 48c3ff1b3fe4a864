// Files of what a view shows: SVG, PNG and CSV.
import { el } from "./dom.js";

const STYLED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "fill-opacity", "font-size", "font-family",
    "font-weight", "text-anchor", "dominant-baseline", "image-rendering"];

/** Rows as CSV (RFC 4180). */
export function csv(rows) {
    const cell = (value) => {
        const text = value === null || value === undefined ? "" : String(value);
        return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** An SVG element as a document of its own: the style sheet's properties become attributes, on the page's background. */
export function standalone(svg) {
    const copy = svg.cloneNode(true);
    const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
    from.forEach((node, at) => {
        const style = getComputedStyle(node);
        for (const name of STYLED) {
            const value = style.getPropertyValue(name);
            if (value && value !== "none" && value !== "auto") to[at].setAttribute(name, value);
            else if (value === "none" && ["fill", "stroke"].includes(name)) to[at].setAttribute(name, "none");
        }
        to[at].removeAttribute("class");
        to[at].removeAttribute("style");
        to[at].removeAttribute("tabindex");
    });
    for (const node of copy.querySelectorAll(".transient, [data-transient]")) node.remove();
    const [, , width, height] = svg.getAttribute("viewBox").split(" ");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    paper.setAttribute("width", width);
    paper.setAttribute("height", height);
    paper.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
    copy.insertBefore(paper, copy.firstChild);
    return new XMLSerializer().serializeToString(copy);
}

/** Rasterises an SVG document at twice its size. */
export async function png(text) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = el("canvas", { width: 2 * image.width, height: 2 * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function save(name, blob) {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Buttons that save what a view shows: `svg` returns an SVG element or its text, `rows` the rows of the CSV. */
export function exporter(what, name, svg, rows) {
    const document = () => {
        const made = svg();
        return typeof made === "string" ? made : standalone(made);
    };
    const files = {
        SVG: () => new Blob([document()], { type: "image/svg+xml" }),
        PNG: () => png(document()),
        CSV: () => new Blob([csv(rows())], { type: "text/csv" }),
    };
    const button = (kind) => el("button", {
        type: "button", class: "quiet", "aria-label": `Save ${what} as ${kind}`, "data-export": kind,
        onclick: async () => save(`${name()}.${kind.toLowerCase()}`, await files[kind]()),
    }, kind);
    return el("div", { class: "exports", role: "group", "aria-label": `Save ${what}` }, Object.keys(files).map(button));
}
