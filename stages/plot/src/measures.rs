//! Names of metrics in figures and report, from the tables' declarations.

use schemas::tables::quantity;
use schemas::{Quantity, Unit};

/// The label of a metric given by its column; the column itself if no table declares it.
pub fn label(column: &str) -> &str {
    quantity(column).map_or(column, |quantity| quantity.label)
}

/// The axis label of a metric, with its unit, of a dataset whose tokens are these.
pub fn axis_label(quantity: &Quantity, tokens: Unit) -> String {
    let label = match quantity.unit {
        "1" => quantity.label.to_owned(),
        unit => format!("{} ({unit})", quantity.label),
    };
    tokens.in_place_of_character(&label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::tables::HeadMetrics;

    #[test]
    fn labels_come_from_the_tables_and_fall_back_to_the_column() {
        assert_eq!(label("previous_token_score"), HeadMetrics::previous_token_score.quantity.label);
        assert_eq!(label("of_tomorrow"), "of_tomorrow");
        assert_eq!(
            axis_label(&HeadMetrics::mean_distance.quantity, Unit::Character),
            "mean attention distance (characters)"
        );
        assert_eq!(axis_label(&HeadMetrics::mean_distance.quantity, Unit::Byte), "mean attention distance (bytes)");
        assert_eq!(axis_label(&HeadMetrics::induction_score.quantity, Unit::Byte), "induction score");
    }
}
