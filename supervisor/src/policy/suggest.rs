//! Suggestions for misspelt names of configuration keys and upload options.

/// Minimum similarity of a suggestion, from 0 to 1: one wrong letter in five.
const SIMILARITY_MIN: f64 = 0.8;

/// The known name most similar to `name`, if one is similar enough; the first of several.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, known)| known)
}

/// `; did you mean ...?` for an error message, or nothing.
pub(crate) fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let known = ["mode", "interval", "workers", "queue_max", "model"];
        let cases = [
            ("qeue_max", Some("queue_max")),
            ("worker", Some("workers")),
            ("INTERVAL", Some("interval")),
            ("modes", Some("mode")),
            ("models", Some("model")),
            ("name", None),
            ("code", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
