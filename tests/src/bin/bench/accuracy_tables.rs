//! The tables of docs/modes.md and docs/accuracy.md: what modes, landmark models and filters buy. Pure.

use crate::figures::{
    Better, CPU_MS_A_FRAME, ERROR_PERCENT, FOUND_PERCENT, Figures, JITTER_PERCENT, Metric,
    PEAK_MIB, Place, Ratio, Summary,
};
use crate::marked_tables::markdown;
use crate::names::{FILTERS, HD_FIGURE, MODELS, MODES, Motion, mode_case, motion_case};
use crate::selection::Group;
use bodyscript_tests::truth::Condition;

const GROUP: Group = Group::Accuracy;
const MISSING: &str = "-";

/// What one row of a table is of.
#[derive(Clone, Copy)]
struct Row<'a> {
    figures: &'a Figures,
    who: &'a str,
}

impl Row<'_> {
    fn values(&self, case: &str, metric: Metric) -> &[f64] {
        self.figures.values(Place { group: GROUP, case, who: self.who }, metric)
    }

    /// The middle of the rounds.
    fn cell(&self, case: &str, metric: Metric, digits: usize) -> String {
        let summary = Summary::of(self.values(case, metric));
        summary.map_or(MISSING.into(), |Summary { median, .. }| format!("{median:.digits$}"))
    }

    fn percent(&self, case: &str, metric: Metric, digits: usize) -> String {
        let cell = self.cell(case, metric, digits);
        if cell == MISSING { cell } else { format!("{cell} %") }
    }

    /// How many times as much time of processors as the other.
    fn times(&self, case: &str, other: &str) -> String {
        let other = Row { who: other, ..*self };
        let [own, other] = [self, &other].map(|row| row.values(case, CPU_MS_A_FRAME));
        let ratio = Ratio::of(other, own, Better::Less);
        ratio.map_or(MISSING.into(), |ratio| format!("{:.1}", ratio.median))
    }
}

/// Of each mode and condition: frames with the person, error, and time as a multiple of that of `track`.
pub(crate) fn modes(figures: &Figures) -> String {
    let columns = |condition: Condition| {
        let name = condition.name();
        [format!("{name}: found"), "error".into(), "time".into()]
    };
    let headings = [vec!["Mode".to_owned()], Condition::ALL.map(columns).concat()].concat();
    let row = |mode: &str| {
        let row = Row { figures, who: mode };
        let cells = |condition| {
            let case = mode_case(condition);
            [
                row.percent(&case, FOUND_PERCENT, 0),
                row.percent(&case, ERROR_PERCENT, 2),
                row.times(&case, MODES[0]),
            ]
        };
        [vec![format!("`{mode}`")], Condition::ALL.map(cells).concat()].concat()
    };
    table(&headings, &MODES.map(row))
}

/// Of each landmark model: time and memory at 720p, and how near and how still the landmarks are.
pub(crate) fn models(figures: &Figures) -> String {
    let headings =
        ["Model", "Time per frame", "Peak memory", "Error, walking", "Error, twice as fast"];
    let headings = [&headings[..], &["Error, standing", "Jitter, standing"]].concat();
    let row = |model: &str| {
        let row = Row { figures, who: model };
        let cost = |metric, unit| match row.cell(HD_FIGURE, metric, 0) {
            cell if cell == MISSING => cell,
            cell => format!("{cell} {unit}"),
        };
        let own = vec![format!("`{model}`"), cost(CPU_MS_A_FRAME, "ms"), cost(PEAK_MIB, "MiB")];
        [own, near_joints(row, "model").to_vec()].concat()
    };
    markdown(&headings, &MODELS.map(row))
}

/// Of each filter: how near and how still the landmarks are.
pub(crate) fn filters(figures: &Figures) -> String {
    let headings =
        ["Filter", "Error, walking", "Error, twice as fast", "Error, standing", "Jitter, standing"];
    let row = |filter: &str| {
        let cells = near_joints(Row { figures, who: filter }, "filter");
        [vec![format!("`{filter}`")], cells.to_vec()].concat()
    };
    markdown(&headings, &FILTERS.map(row))
}

fn near_joints(row: Row<'_>, option: &str) -> [String; 4] {
    let [standing, walking, fast] = Motion::ALL.map(|motion| motion_case(option, motion));
    [
        row.percent(&walking, ERROR_PERCENT, 3),
        row.percent(&fast, ERROR_PERCENT, 3),
        row.percent(&standing, ERROR_PERCENT, 3),
        row.percent(&standing, JITTER_PERCENT, 4),
    ]
}

fn table(headings: &[String], rows: &[Vec<String>]) -> String {
    markdown(&headings.iter().map(String::as_str).collect::<Vec<_>>(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a table that begins with this name.
    fn line(table: &str, name: &str) -> String {
        let begin = format!("| `{name}` |");
        table.lines().find(|line| line.starts_with(&begin)).expect("a row").to_owned()
    }

    #[test]
    fn times_of_modes_are_multiples_of_tracking_and_what_is_missing_is_marked() {
        let mut figures = Figures::default();
        let case = mode_case(Condition::Dark);
        for (who, cost) in [("track", 10.0), ("quality", 155.0)] {
            figures.add(Place { group: GROUP, case: &case, who }, &[(CPU_MS_A_FRAME, cost)]);
        }
        let place = Place { group: GROUP, case: &case, who: "quality" };
        figures.add(place, &[(FOUND_PERCENT, 100.0), (ERROR_PERCENT, 0.63)]);
        let table = modes(&figures);
        let expected = "| `quality` | - | - | - | 100 % | 0.63 % | 15.5 | - | - | - |";
        assert_eq!(line(&table, "quality"), expected);
        assert!(line(&table, "track").contains("| - | - | 1.0 |"), "{table}");
    }

    #[test]
    fn models_and_filters_have_the_middle_of_their_rounds() {
        let mut figures = Figures::default();
        let case = motion_case("filter", Motion::Standing);
        let place = Place { group: GROUP, case: &case, who: "offline" };
        figures.add(place, &[(ERROR_PERCENT, 0.5), (JITTER_PERCENT, 0.0012)]);
        let expected = "| `offline` | - | - | 0.500 % | 0.0012 % |";
        assert_eq!(line(&filters(&figures), "offline"), expected);
        for peak in [90.0, 92.0, 91.0] {
            let place = Place { group: GROUP, case: HD_FIGURE, who: "lite" };
            figures.add(place, &[(PEAK_MIB, peak)]);
        }
        let expected = "| `lite` | - | 91 MiB | - | - | - | - |";
        assert_eq!(line(&models(&figures), "lite"), expected);
    }
}
