// What is shown, as the part of the link after `#`: `attention?seed=1337&step=2000&head=L1H3`.

/** What a link without more says. */
export const DEFAULTS = Object.freeze({
    view: "overview", dataset: "", training: "0", seed: "", window: "", step: "", head: "", query: "", shown: "query", metric: "normalized_entropy",
    sort: "", order: "desc", filter: "", scale: "sqrt", compare: "", bstep: "", bseed: "", bhead: "", btraining: "0", rank: "share", picked: "",
    lines: "heads", over: "normalized_entropy", pair: "js_similarity", sample: "0", char: "", x: "normalized_entropy", layer: "", y: "quality", scope: "training",
});

/** The state that a link's hash says; what it does not say, or says of no known key, is the default. */
export function parse(hash) {
    const [view, query = ""] = hash.replace(/^#/, "").split("?");
    const state = { ...DEFAULTS };
    if (/^[a-z]+$/.test(view)) state.view = view;
    for (const [key, value] of new URLSearchParams(query)) {
        if (Object.hasOwn(DEFAULTS, key) && key !== "view") state[key] = value;
    }
    return state;
}

/** The hash of a state: only what differs from the defaults. */
export function format(state) {
    const query = new URLSearchParams();
    for (const key of Object.keys(DEFAULTS)) {
        if (key !== "view" && state[key] !== DEFAULTS[key]) query.set(key, state[key]);
    }
    const text = query.toString();
    return `#${state.view}${text && `?${text}`}`;
}

/** `L1H3` as layer and head; none if it is no head's name. */
export function headOf(name) {
    const found = /^L(\d+)H(\d+)$/.exec(name);
    return found && { layer: Number(found[1]), head: Number(found[2]) };
}

/** The name of a head. */
export function headName(layer, head) {
    return `L${layer}H${head}`;
}
