// Starts the page: reads the study, follows the link, and shows one view at a time.
import { mountAttention } from "./attention.js";
import { mountCorrelations } from "./correlations.js";
import { choice, el } from "./dom.js";
import { mountHeads } from "./heads.js";
import { mountLayers } from "./layers.js";
import { Study } from "./model.js";
import { DEFAULTS, format, headName, headOf, parse } from "./state.js";
import { focused, mountStory } from "./story.js";
import { mountTexts } from "./texts.js";

const VIEWS = { attention: mountAttention, heads: mountHeads, layers: mountLayers, text: mountTexts, correlations: mountCorrelations };
/** Changes of these build a view anew. */
const REBUILD = ["view", "dataset", "training"];

class App {
    constructor(study) {
        this.study = study;
        this.state = parse(location.hash);
        this.view = null;
    }

    /** What the state refers to; what does not exist is replaced by the first, or the last snapshot. */
    at() {
        const { state, study } = this;
        const dataset = study.datasets.find((one) => one.name === state.dataset) ?? study.datasets[0];
        const training = dataset.trainings[Number(state.training)] ?? dataset.trainings[0];
        const position = (list, value, otherwise) => { const found = list.indexOf(value); return found < 0 ? otherwise : found; };
        const seed = position(dataset.seeds, state.seed, 0), step = position(dataset.steps, Number(state.step || NaN), dataset.steps.length - 1);
        if (!training) return { dataset, training, seed, step };
        const maps = training.mapsOf(seed), window = maps.find((map) => String(map.window) === state.window)?.window ?? maps[0]?.window ?? 0;
        const named = headOf(state.head), known = named && named.layer < training.layers && named.head < training.heads ? named : focused(training);
        return { dataset, training, seed, step, window, head: { layer: known.layer, head: known.head, name: headName(known.layer, known.head) } };
    }

    /** The marked heads. */
    picked() {
        return new Set(this.state.picked ? this.state.picked.split(",") : []);
    }

    /** Marks a head, or unmarks it. */
    pick(name) {
        const picked = this.picked();
        if (!picked.delete(name)) picked.add(name);
        this.set({ picked: [...picked].join(",") });
    }

    /** The link to this state with some changes. */
    link(changes) {
        return format({ ...this.state, ...changes });
    }

    /** The choices of dataset and training, where there is one. */
    choices() {
        const { dataset, training } = this.at(), { datasets } = this.study;
        const more = [];
        if (datasets.length > 1) more.push(choice("Dataset", datasets.map((one) => [one.name, one.name]), dataset.name, (value) => this.set({ dataset: value, training: "0", seed: "", window: "", step: "", head: "", query: "", char: "", filter: "" })));
        if (dataset.trainings.length > 1) more.push(choice("Training", dataset.trainings.map((one, at) => [String(at), one.label()]), String(dataset.trainings.indexOf(training)), (value) => this.set({ training: value, window: "", head: "" })));
        else if (training.runs.length > 1) more.push(el("p", { class: "said one" }, `${training.label()}: these runs share one training`));
        return more;
    }

    /** Changes the state, and shows it. */
    set(changes) {
        this.go({ ...this.state, ...changes });
    }

    go(next) {
        const changed = new Set(Object.keys(DEFAULTS).filter((key) => next[key] !== this.state[key]));
        if (changed.size === 0) return;
        this.state = next;
        history.replaceState(null, "", format(next));
        performance.mark("change");
        if (REBUILD.some((key) => changed.has(key))) this.show();
        else this.view?.update(changed);
        performance.measure([...changed].join(), "change");
    }

    /** Shows the state's view. */
    show() {
        this.view?.leave?.();
        this.view = null;
        const sections = [...document.querySelectorAll("main > section[data-view]")];
        const shown = sections.find((section) => section.dataset.view === this.state.view) ?? sections[0];
        for (const section of sections) section.hidden = section !== shown;
        for (const link of document.querySelectorAll("nav a[data-to]")) {
            if (link.dataset.to === shown.dataset.view) link.setAttribute("aria-current", "page");
            else link.removeAttribute("aria-current");
        }
        const mount = VIEWS[shown.dataset.view], root = shown.querySelector(".app");
        if (mount && root) this.view = mount(root, this);
        if (shown.dataset.view === "overview") {
            for (const story of shown.querySelectorAll("[data-story]")) mountStory(story, { ...this, study: this.study, at: () => storyAt(this.study, story.dataset.story), link: (changes) => this.link({ dataset: story.dataset.story, ...changes }) });
        }
        document.title = `${shown.getAttribute("aria-label")} · ${document.body.dataset.title}`;
    }
}

function storyAt(study, name) {
    const dataset = study.datasets.find((one) => one.name === name);
    return { dataset, training: dataset.trainings[0] };
}

const app = new App(new Study(JSON.parse(document.getElementById("study").textContent)));
document.body.classList.add("scripted");
for (const link of document.querySelectorAll("nav a[data-to], a[data-to]")) {
    link.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        const changes = link.dataset.dataset === undefined ? {} : { dataset: link.dataset.dataset };
        history.pushState(null, "", app.link({ view: link.dataset.to, ...changes }));
        follow();
        scrollTo(0, 0);
    });
}

document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
});

/** Shows what the link says. */
function follow() {
    const next = parse(location.hash);
    const anchor = document.getElementById(location.hash.slice(1));
    if (anchor?.closest("section[data-view]")) next.view = anchor.closest("section[data-view]").dataset.view;
    const same = format(next) === format(app.state);
    if (!same) {
        const before = app.state;
        app.state = next;
        const changed = new Set(Object.keys(DEFAULTS).filter((key) => next[key] !== before[key]));
        if (REBUILD.some((key) => changed.has(key)) || !app.view) app.show();
        else app.view.update(changed);
    }
    anchor?.scrollIntoView();
}

addEventListener("hashchange", follow);
addEventListener("popstate", follow);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; app.show(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.show());
app.show();
