//! Names of metrics in figures and report, from the tables' declarations.

use schemas::Quantity;
use schemas::tables::quantity;

/// The label of a metric given by its column; the column itself if no table declares it.
pub fn label(column: &str) -> &str {
    quantity(column).map_or(column, |quantity| quantity.label)
}

/// The axis label of a metric, with its unit.
pub fn axis_label(quantity: &Quantity) -> String {
    match quantity.unit {
        "1" => quantity.label.to_owned(),
        unit => format!("{} ({unit})", quantity.label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::tables::HeadMetrics;

    #[test]
    fn labels_come_from_the_tables_and_fall_back_to_the_column() {
        assert_eq!(label("previous_token_score"), HeadMetrics::previous_token_score.quantity.label);
        assert_eq!(label("of_tomorrow"), "of_tomorrow");
        assert_eq!(axis_label(&HeadMetrics::mean_distance.quantity), "mean attention distance (characters)");
        assert_eq!(axis_label(&HeadMetrics::induction_score.quantity), "induction score");
    }
}
