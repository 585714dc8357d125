//! Histograms of levels. Called by the enhancements that equalise contrast.

/// Number of levels.
pub(super) const LEVELS: usize = 256;
/// Tables that are used alternately: increments of the same counter depend on each other.
const TABLES: usize = 4;

/// Counts the levels in these rows.
pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> [u32; LEVELS] {
    let mut tables = [[0_u32; LEVELS]; TABLES];
    for row in rows {
        let (fours, rest) = row.as_chunks::<TABLES>();
        for levels in fours {
            for (table, level) in tables.iter_mut().zip(levels) {
                table[usize::from(*level)] += 1;
            }
        }
        for level in rest {
            tables[0][usize::from(*level)] += 1;
        }
    }
    std::array::from_fn(|level| tables.iter().map(|table| table[level]).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_counted_at_every_position() {
        let rows: [&[u8]; 3] = [&[7, 7, 7, 7, 9], &[], &[7, 0]];
        let counts = of(rows);
        assert_eq!((counts[0], counts[7], counts[9]), (1, 5, 1));
        assert_eq!(counts.iter().sum::<u32>(), 7);
    }
}
