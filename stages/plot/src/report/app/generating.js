// Attention while a sample was generated, token by token: of one head in the text, of every head side by side.
import { weight } from "./codec.js";
import { cssLevel, inkOn, levels } from "./colour.js";
import { attached, choice, el, isDark, movedBy, player, svgEl, symbolSpans } from "./dom.js";
import { exporter } from "./export.js";
import { axisOf, drawRows } from "./maps.js";
import { chunk } from "./model.js";
import { integer, percent } from "./number.js";
import { headName, headOf } from "./state.js";
import { spoken, visible } from "./text.js";

/** Milliseconds between tokens while playing. */
const PACE = 160;
/** Pixels that a character of an axis needs. */
const LEGIBLE = 6;

/** A sample's tokens, the prompt first, and the attention behind each that was generated. */
export class Generated {
    constructor(json, cells) {
        Object.assign(this, json, { cells });
        let at = 0;
        this.begins = this.contexts.map((size) => { const begin = at; at += size * this.layers * this.heads; return begin; });
        this.widest = Math.max(...this.contexts);
    }

    /** Where the context of a generated token begins, counted from the first token of the prompt. */
    start(position) {
        return this.prompt + position - this.contexts[position];
    }

    /** One head's attention to the context, in levels; the last is that of the token before. */
    row(position, layer, head) {
        const size = this.contexts[position], at = this.begins[position] + (layer * this.heads + head) * size;
        return this.cells.subarray(at, at + size);
    }

    /** The tokens that a head attended to most, with their weights and how far before the generated one they are. */
    most(position, layer, head, count) {
        const row = this.row(position, layer, head), start = this.start(position);
        const all = Array.from(row, (level, at) => ({ at: start + at, before: row.length - at, weight: weight(level) }));
        return all.sort((one, other) => other.weight - one.weight || one.before - other.before).slice(0, count);
    }
}

/** The section of one sample; `json` says where its cells are. */
export function generatingView(app, json) {
    const { dataset } = app.at(), dark = isDark(), colours = levels(dark, "sqrt"), unit = dataset.unit;
    const root = el("section", { class: "generating", "aria-label": `Attention while generating, ${unit} by ${unit}` });
    const title = el("h2", {}, `Attention while generating this sample, ${unit} by ${unit}`);
    const names = Array.from({ length: json.layers * json.heads }, (_, at) => headName(Math.floor(at / json.heads), at % json.heads));
    const symbols = json.tokens.map((token) => dataset.vocabulary[token] ?? "�"), last = json.contexts.length - 1;
    const text = el("div", { class: "text", role: "slider", tabindex: "0", "aria-label": `Generated ${unit}`, "aria-valuemin": 1, "aria-valuemax": last + 1 });
    const [spans, children] = symbolSpans(symbols, (at) => at < json.prompt && "prompt");
    text.append(...children);
    spans.slice(0, json.prompt).forEach((span) => span.setAttribute("title", "prompt"));
    const said = el("p", { class: "said", "aria-live": "polite" }), controls = el("div", { class: "controls" });
    const canvas = el("canvas", { "aria-hidden": "true" }), cell = el("p", { class: "note" }, "\u00a0"), axisHost = el("div", { class: "stripaxis" }), mark = el("i", { class: "stripmark" });
    const labels = names.map((name) => el("button", { type: "button", "data-head": name, onclick: () => app.set({ head: name }) }, name));
    const strip = el("div", { class: "strip", style: `--rows:${names.length}` }, el("div", { class: "striplabels", role: "group", "aria-label": "Heads" }, labels), el("div", { class: "stripmap" }, canvas, mark), axisHost);
    let generated = null, hovered = null, played = null;

    const chosen = () => {
        const { head } = app.at(), known = head && head.layer < json.layers && head.head < json.heads;
        return known ? head : { layer: 0, head: 0, name: headName(0, 0) };
    };
    // Without a choice, the first token before which the context is full.
    const pinned = () => {
        const at = Number.parseInt(app.state.char, 10);
        return Number.isNaN(at) ? json.contexts.indexOf(Math.max(...json.contexts)) : Math.min(last, Math.max(0, at));
    };
    const shown = () => hovered ?? played ?? pinned();

    const play = player("Play the generation", PACE, {
        begin: () => {
            hovered = null;
            played = pinned() === last ? 0 : pinned();
            said.setAttribute("aria-live", "off");
            follow();
        },
        tick: () => {
            if (played < last) { played += 1; follow(); }
            return played < last;
        },
        end: () => {
            const at = String(played);
            played = null;
            said.setAttribute("aria-live", "polite");
            app.set({ char: at });
        },
    });
    /** Shows a token, and brings it into the part of the text that is seen. */
    function follow() {
        highlight();
        const box = text.getBoundingClientRect(), at = spans[json.prompt + shown()].getBoundingClientRect();
        if (at.top < box.top || at.bottom > box.bottom) text.scrollTop += at.top - box.top - box.height / 2;
    }

    function highlight() {
        const position = shown(), { layer, head, name } = chosen(), start = generated.start(position), end = json.prompt + position;
        const row = generated.row(position, layer, head);
        spans.forEach((span, at) => {
            const level = at >= start && at < end ? row[at - start] : 0, colour = level ? cssLevel(dark, level / 255) : "";
            span.style.background = colour;
            span.style.color = colour && inkOn(colour);
            span.classList.toggle("current", at === end);
            span.classList.toggle("after", at < start || at > end);
        });
        const found = generated.most(position, layer, head, 3).filter((one) => one.weight > 0);
        const list = found.map((one, at) => `${spoken(symbols[one.at])}, ${one.before} ${at ? "" : `${unit}${one.before === 1 ? "" : "s"} `}before (${percent(one.weight)})`).join("; ");
        said.textContent = `${unit[0].toUpperCase()}${unit.slice(1)} ${integer(position + 1)} of ${integer(json.length)} is ${spoken(symbols[end])}. To predict it, head ${name} attended to ${list}.`;
        said.dataset.position = position;
        text.setAttribute("aria-valuenow", position + 1);
        text.setAttribute("aria-valuetext", `${spoken(symbols[end])}, ${integer(position + 1)} of ${integer(json.length)}`);
        const size = json.contexts[position];
        drawRows(canvas, names.map((_, at) => generated.row(position, Math.floor(at / json.heads), at % json.heads)), generated.widest, colours);
        // Characters that nobody could read are left out.
        const wide = canvas.clientWidth || 640;
        axisHost.replaceChildren(wide / generated.widest < LEGIBLE ? "" : axisOf([...Array(generated.widest - size).fill(null), ...symbols.slice(start, end)], wide, false));
        labels.forEach((label) => label.setAttribute("aria-pressed", String(label.dataset.head === name)));
        mark.style.setProperty("--row", names.indexOf(name));
        cell.textContent = "\u00a0";
    }

    const rows = () => {
        const position = shown(), start = generated.start(position), size = json.contexts[position];
        return [["dataset", "seed", "step", "sample", "position", "generated", "layer", "head", "before", "attended", "weight"], ...names.flatMap((name) => {
            const { layer, head } = headOf(name), row = generated.row(position, layer, head);
            return Array.from(row, (level, at) => [dataset.name, dataset.seeds[0], json.step, json.sample, position, visible(symbols[json.prompt + position]), layer, head, size - at, visible(symbols[start + at]), weight(level).toFixed(5)]);
        })];
    };
    function svg() {
        const position = shown(), size = json.contexts[position], start = generated.start(position), pitch = 11, left = 52, width = left + generated.widest * pitch + 10;
        const whole = svgEl("svg", { viewBox: `0 0 ${width} ${names.length * pitch + 60}`, class: "chart" },
            svgEl("text", { class: "note", x: 8, y: 18 }, `${dataset.name}, step ${integer(json.step)}, sample ${json.sample}: attention when ${unit} ${position + 1} was generated, ${visible(symbols[json.prompt + position])}`),
            svgEl("image", { x: left, y: 28, width: generated.widest * pitch, height: names.length * pitch, preserveAspectRatio: "none", href: canvas.toDataURL(), style: "image-rendering:pixelated" }));
        names.forEach((name, at) => whole.append(svgEl("text", { class: "tick", style: "font-size:9px", x: left - 6, y: 28 + (at + 0.8) * pitch, "text-anchor": "end" }, name)));
        symbols.slice(start, start + size).forEach((symbol, at) => whole.append(svgEl("text", { class: "tick", style: "font-size:9px", x: left + (generated.widest - size + at + 0.5) * pitch, y: 42 + names.length * pitch, "text-anchor": "middle" }, `\u2068${[...visible(symbol)].slice(0, 4).join("")}\u2069`)));
        return attached(root, whole);
    }

    const heads = choice("Head", names.map((name) => [name, name]), chosen().name, (value) => app.set({ head: value }));
    const saves = exporter(`attention while generating, ${unit} by ${unit}`, () => `generated_attention_${dataset.name}_step${json.step}_sample${json.sample}_position${shown()}`, svg, rows);
    controls.append(play.button, heads, saves);
    // There is nothing to play or to save before the cells are unpacked.
    const buttons = [play.button, ...saves.querySelectorAll("button")];
    buttons.forEach((button) => { button.disabled = true; });
    text.addEventListener("pointermove", (event) => {
        // Text that scrolls under a pointer at rest is not pointed at.
        if (!generated || play.playing() || (event.movementX === 0 && event.movementY === 0)) return;
        const position = spans.indexOf(event.target.closest("span")) - json.prompt;
        if (position >= 0 && position !== hovered) { hovered = position; highlight(); }
    });
    spans.slice(json.prompt).forEach((span, position) => span.addEventListener("click", () => { play.stop(); hovered = null; app.set({ char: String(position) }); }));
    text.addEventListener("pointerleave", () => { if (generated && hovered !== null) { hovered = null; highlight(); } });
    text.addEventListener("keydown", (event) => {
        const moved = generated && movedBy(event, played ?? pinned(), last);
        if (moved === null) return;
        // The pointer may rest on a character.
        play.stop();
        hovered = null;
        app.set({ char: String(moved) });
    });
    const place = (event) => {
        const box = canvas.getBoundingClientRect(), share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        return [share[0] * generated.widest, share[1] * names.length].map((at, which) => Math.min((which ? names.length : generated.widest) - 1, Math.max(0, Math.floor(at))));
    };
    canvas.addEventListener("pointermove", (event) => {
        if (!generated) return;
        const [column, row] = place(event), position = shown(), size = json.contexts[position], at = column - (generated.widest - size), { layer, head } = headOf(names[row]);
        cell.textContent = at < 0 ? "\u00a0" : `${names[row]} → ${spoken(symbols[generated.start(position) + at])}, ${size - at} before: ${percent(weight(generated.row(position, layer, head)[at]))}`;
    });
    canvas.addEventListener("pointerleave", () => { cell.textContent = "\u00a0"; });
    canvas.addEventListener("click", (event) => { if (generated) app.set({ head: names[place(event)[1]] }); });

    text.setAttribute("aria-valuenow", pinned() + 1);
    root.append(title, controls, text, said, el("h3", {}, `Every head, for this ${unit}`), strip, cell,
        el("p", { class: "note" }, `What is pale in the text is not in the context: not generated yet, or beyond the block. Each row is a head, each column a ${unit} of the context, the latest at the right; the colour goes with the square root of the attention, the same in the text. Recorded in the table generated_attention`, json.length > last + 1 ? `; of ${integer(json.length)} ${unit}s the first ${integer(last + 1)} are on this page.` : "."));
    chunk(json.chunk).then((cells) => {
        generated = new Generated(json, cells);
        buttons.forEach((button) => { button.disabled = false; });
        follow();
        root.dataset.ready = "true";
    });
    return { root, update: () => { heads.querySelector("select").value = chosen().name; if (generated) follow(); }, leave: play.leave };
}
