//! Every option by its row in the table.

use super::*;

fn row(name: &str) -> &'static OptionRow {
    OPTIONS.iter().find(|row| row.name == name).expect("an option")
}

#[test]
fn names_are_read_back() {
    for row in &OPTIONS {
        if let Values::OneOf(names) = row.values {
            for name in names() {
                let mut options = Options::default();
                assert!((row.set)(&mut options, name), "{name}");
                assert_eq!((row.get)(&options), Some(Value::Name(name)));
            }
        }
    }
    let mut options = Options::default();
    assert!(!(row("mode").set)(&mut options, "Track"));
    assert!(!(row("smoothing").set)(&mut options, "yes"));
    assert_eq!(options, Options::default(), "a refused value changes nothing");
}

#[test]
fn every_option_is_set_to_the_value_that_is_read() {
    for (name, text) in [
        ("mode", "static"),
        ("interval", "7"),
        ("fps", "12.5"),
        ("max_people", "4"),
        ("smoothing", "off"),
        ("filter", "offline"),
        ("formats", "csv,trc"),
        ("background", "skeleton"),
        ("start", "1.25"),
        ("end", "90"),
        ("crop", "0.1,0,0.25,1"),
        ("slow_motion", "2.5"),
        ("person", "0.25,0.5,3"),
        ("model", "lite"),
        ("blur", "faces"),
        ("height_m", "1.785"),
        ("low_pass", "savitzky_golay"),
    ] {
        let mut options = Options::default();
        assert!((row(name).set)(&mut options, text), "{name}");
        assert_eq!((row(name).get)(&options).map(|value| value.to_string()), Some(text.into()));
        assert_ne!(options, Options::default(), "{name}");
    }
    assert!(OPTIONS.iter().all(|row| row.excludes.is_none_or(|other| other != row.name)));
}

#[test]
fn smoothing_is_another_name_of_two_filters_and_excluded_by_the_third() {
    for (smoothing, filter) in [("on", "live"), ("off", "none")] {
        let mut options = Options::default();
        assert!((row("smoothing").set)(&mut options, smoothing));
        assert_eq!((row("filter").get)(&options), Some(Value::Name(filter)));
    }
    let offline = Options { filter: Filter::Offline, ..Options::default() };
    assert_eq!((row("smoothing").get)(&offline), None);
    assert_eq!(row("filter").excludes, Some("smoothing"));
}

#[test]
fn numbers_are_accepted_at_their_limits_and_refused_beyond_them() {
    let accepts = |name, text: &str| (row(name).set)(&mut Options::default(), text);
    for (name, least, most) in [("interval", 1, INTERVAL_FRAMES_MAX), ("max_people", 1, PEOPLE_MAX)]
    {
        assert!(accepts(name, &least.to_string()) && accepts(name, &most.to_string()), "{name}");
        assert!(!accepts(name, &(least - 1).to_string()), "{name}");
        assert!(!accepts(name, &(most + 1).to_string()), "{name}");
    }
    assert_eq!(row("fps").values.to_string(), "a number of frames per second from 0.1 to 240");
    assert!(accepts("fps", "0.1") && accepts("fps", "240") && !accepts("fps", "241"));
    assert!(accepts("slow_motion", "1") && accepts("slow_motion", "1000"));
    assert!(!accepts("slow_motion", "0.999") && !accepts("slow_motion", "1000.001"));
    for name in ["start", "end"] {
        assert!(accepts(name, "0") && accepts(name, "86400"), "{name}");
        assert!(!accepts(name, "86400.001") && !accepts(name, "0.0001"), "{name}");
    }
    assert!(accepts("height_m", "0.5") && accepts("height_m", "2.5"));
    assert!(!accepts("height_m", "0.499") && !accepts("height_m", "2.501"));
}
