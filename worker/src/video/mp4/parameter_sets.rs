//! Reads the parameter sets of an H.264 or H.265 description of an MP4 (ISO/IEC 14496-15, 5.3.3.1 and
//! 8.3.3.1), for streams that are framed by start codes in spite of it. Called by `track_events`; pure.

/// What begins each unit.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Bytes before the first list of parameter sets of H.264.
const AVC_HEADER_BYTES: usize = 5;
/// Bytes before the number of lists of H.265; longer than any description of H.264 without sets.
const HEVC_HEADER_BYTES: usize = 22;

/// The parameter sets of a description, each after a start code; up to the first incomplete one. A
/// description that is framed by start codes itself is returned as it is.
pub(in crate::video) fn parameter_sets(description: &[u8]) -> Vec<u8> {
    if description.starts_with(&START_CODE) || description.starts_with(&START_CODE[1..]) {
        return description.to_vec();
    }
    let mut sets = Vec::new();
    // Both begin with version 1; the reserved bits of the fifth byte are set in H.264 alone, whose
    // sets begin with a byte of type 7.
    let is_avc =
        description.get(8).is_some_and(|first| first & 0x1f == 7) && description[4] & 0xfc == 0xfc;
    let mut rest = description;
    if is_avc {
        rest = &rest[AVC_HEADER_BYTES..];
        for number_mask in [0x1f, 0xff] {
            let Some((number, after)) = rest.split_first() else { break };
            rest = list(after, usize::from(number & number_mask), &mut sets);
        }
        return sets;
    }
    let Some((lists, after)) = rest.get(HEVC_HEADER_BYTES..).and_then(<[u8]>::split_first) else {
        return sets;
    };
    rest = after;
    for _ in 0..*lists {
        let Some(([_, high, low], after)) = rest.split_first_chunk() else { break };
        rest = list(after, usize::from(u16::from_be_bytes([*high, *low])), &mut sets);
    }
    sets
}

/// Appends a list of sets, each after its length; returns what follows.
fn list<'a>(mut rest: &'a [u8], number: usize, sets: &mut Vec<u8>) -> &'a [u8] {
    for _ in 0..number {
        let Some((length, after)) = rest.split_first_chunk() else { return &[] };
        let Some((set, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        else {
            return &[];
        };
        sets.extend(START_CODE);
        sets.extend(set);
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 8, 9, 1, 0, 4, 0x68, 5, 6, 7];

    #[test]
    fn the_sets_of_both_codecs_are_framed_by_start_codes() {
        let expected = [0, 0, 0, 1, 0x67, 8, 9, 0, 0, 0, 1, 0x68, 5, 6, 7];
        assert_eq!(parameter_sets(&AVC), expected);
        let hevc = [[1; 22].as_slice(), &[2, 0x20, 0, 1, 0, 2, 0x40, 1, 0x21, 0, 1, 0, 1, 0x42]];
        assert_eq!(parameter_sets(&hevc.concat()), [0, 0, 0, 1, 0x40, 1, 0, 0, 0, 1, 0x42]);
    }

    #[test]
    fn an_incomplete_description_gives_its_complete_sets() {
        for kept in 0..AVC.len() {
            assert!([0, 7].contains(&parameter_sets(&AVC[..kept]).len()), "{kept}");
        }
        assert!(parameter_sets(&[2; 40]).is_empty());
    }

    #[test]
    fn sets_that_are_framed_already_are_kept() {
        let framed = [0, 0, 0, 1, 0x67, 1, 2, 3];
        assert_eq!(parameter_sets(&framed), framed);
        assert_eq!(parameter_sets(&framed[1..]), framed[1..]);
    }
}
