//! Suggestions for mistyped names.

/// ` (did you mean `this`?)` where a known name is near enough, else nothing.
pub fn nearest<'names>(name: &str, known: impl IntoIterator<Item = &'names str>) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known)).min();
    match near {
        Some((distance, known)) if distance <= 1 + name.chars().count() / 4 => format!(" (did you mean `{known}`?)"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_are_named_and_far_ones_are_not() {
        assert_eq!(nearest("max_iter", ["n_layer", "max_iters"]), " (did you mean `max_iters`?)");
        assert_eq!(nearest("Laptpo", ["smoke", "laptop"]), " (did you mean `laptop`?)");
        assert_eq!(nearest("magic", ["n_layer", "max_iters"]), "");
        assert_eq!(nearest("magic", []), "");
    }
}
