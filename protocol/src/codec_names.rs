//! The names of video codecs that are not supported, as people know them. A worker's text is never
//! shown: a codec that is not in these lists has no name.
//!
//! A worker names a codec by its GStreamer media type, by `fourcc:` and the code in its container, or
//! by the identifier in a Matroska file.

/// The prefix of codes.
pub const FOURCC_PREFIX: &str = "fourcc:";

/// The name of a codec.
pub(crate) fn name_of(codec: &str) -> Option<&'static str> {
    if let Some(code) = codec.strip_prefix(FOURCC_PREFIX) {
        let of_code = |codes: &str| codes.split(' ').any(|known| known.eq_ignore_ascii_case(code));
        return FOURCCS.iter().find(|(codes, _)| of_code(codes)).map(|(_, name)| *name);
    }
    OTHERS.iter().find(|(known, _)| *known == codec).map(|(_, name)| *name)
}

/// Codes of containers, without blanks at their ends.
const FOURCCS: [(&str, &str); 60] = [
    ("8bps", "Planar RGB"),
    ("aprn aprh", "ProRes RAW"),
    ("apv1", "APV"),
    ("asv1 asv2", "ASUS"),
    ("avd1 avup", "Avid Meridien"),
    ("avs2", "AVS2"),
    ("avs3", "AVS3"),
    ("b64a r210 r10k v216 v308 v408 v410 y41p yuv2 2vuy raw", "This kind of uncompressed"),
    ("braw brvn brst brs2 brxq brhq brlt", "Blackmagic RAW"),
    ("cdvc cdvh cuvc cllc chqx", "Canopus"),
    ("cljr", "Cirrus Logic AccuPak"),
    ("craw crx", "Canon RAW"),
    ("cscd", "CamStudio"),
    ("cvid", "Cinepak"),
    ("dav1", "Dolby Vision on AV1"),
    ("drac bbcd", "Dirac"),
    ("dxdi dxd3", "Resolume DXV"),
    ("evc1", "EVC"),
    ("ffv1", "FFV1"),
    ("ffvh", "HuffYUV"),
    ("fps1", "Fraps"),
    ("fsv1 fsv2", "Flash Screen"),
    ("g2m2 g2m3 g2m4 g2m5", "GoToMeeting"),
    ("h261", "H.261"),
    ("hap1 hap5 hapy hapm hapa hap7 haph", "Hap"),
    ("hfyu", "HuffYUV"),
    ("i263", "Intel H.263"),
    ("icod", "Apple Intermediate Codec"),
    ("ir21 rt21", "Indeo 2"),
    ("iv31 iv32", "Indeo 3"),
    ("iv41", "Indeo 4"),
    ("iv50", "Indeo 5"),
    ("jxsv jxsm", "JPEG XS"),
    ("lags", "Lagarith"),
    ("lvc1", "LCEVC"),
    ("m8rg m8ra m8g0 m8y0 m8y2 m8y4 m8ya m0rg m0y2", "MagicYUV"),
    ("mjpb mjpa", "Motion JPEG with fields"),
    ("mrle rle rle8", "Run-length"),
    ("msvc cram wham", "Microsoft Video 1"),
    ("mss1 mss2 msa1 mts2", "Windows Media Screen"),
    ("mszh zlib", "LCL"),
    ("pxlt", "Pixlet"),
    ("qdrw", "QuickDraw"),
    ("redx r3d", "REDCODE RAW"),
    ("rpza azpr", "Apple Video"),
    ("rv10 rv13 rv20 rv30 rv40", "RealVideo"),
    ("smc", "QuickTime Graphics"),
    ("snow", "Snow"),
    ("sp5x sp54", "SunPlus JPEG"),
    ("svq1 svq3", "Sorenson Video"),
    ("tiff", "TIFF"),
    ("tscc tsc2", "TechSmith Camtasia"),
    ("ulrg ulra uly0 uly2 uly4 ulh0 ulh2 ulh4 uqy2 uqrg uqra umrg umy2", "Ut Video"),
    ("vp30 vp31 vp40", "VP3"),
    ("vp50 vp70", "VP5 or VP7"),
    ("vvc1 vvi1", "H.266"),
    ("wmvp wvp2", "Windows Media Photo Story"),
    ("wmv4 wmva", "This version of Windows Media"),
    ("vixl", "miro VideoXL"),
    ("zmbv", "DOSBox"),
];

/// Media types, identifiers of Matroska, and what is left out of a container.
const OTHERS: [(&str, &str); 46] = [
    ("V_AVS2", "AVS2"),
    ("V_AVS3", "AVS3"),
    ("V_CAVS", "AVS"),
    ("V_DIRAC", "Dirac"),
    ("V_FFV1", "FFV1"),
    ("V_MPEGI/ISO/VVC", "H.266"),
    ("V_SNOW", "Snow"),
    ("application/x-cbcs", "Encrypted"),
    ("application/x-cenc", "Encrypted"),
    ("flv:av01", "AV1 in FLV"),
    ("flv:avc1", "This form of H.264 in FLV"),
    ("flv:hvc1", "H.265 in FLV"),
    ("flv:vp09", "VP9 in FLV"),
    ("image/jpeg2000", "JPEG 2000"),
    ("image/png", "PNG"),
    ("image/webp", "WebP"),
    ("image/x-j2c", "JPEG 2000"),
    ("image/x-jpc", "JPEG 2000"),
    ("video/x-bink", "Bink"),
    ("video/x-camtasia", "TechSmith Camtasia"),
    ("video/x-cavs", "AVS"),
    ("video/x-cineform", "CineForm"),
    ("video/x-cinepak", "Cinepak"),
    ("video/x-dirac", "Dirac"),
    ("video/x-divx", "This version of DivX"),
    ("video/x-dnxhd", "DNxHD"),
    ("video/x-dv", "DV"),
    ("video/x-ffv", "FFV1"),
    ("video/x-flash-screen", "Flash Screen"),
    ("video/x-flash-video", "Sorenson Spark"),
    ("video/x-h261", "H.261"),
    ("video/x-h263", "H.263"),
    ("video/x-huffyuv", "HuffYUV"),
    ("video/x-indeo", "Indeo"),
    ("video/x-msmpeg", "Microsoft MPEG-4"),
    ("video/x-msvideocodec", "Microsoft Video 1"),
    ("video/x-pn-realvideo", "RealVideo"),
    ("video/x-prores", "ProRes"),
    ("video/x-raw", "This kind of uncompressed"),
    ("video/x-redcode", "REDCODE RAW"),
    ("video/x-rle", "Run-length"),
    ("video/x-smacker", "Smacker"),
    ("video/x-smc", "QuickTime Graphics"),
    ("video/x-svq", "Sorenson Video"),
    ("video/x-truemotion", "TrueMotion"),
    ("video/x-wmv", "This version of Windows Media"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_either_case_and_as_a_whole() {
        assert_eq!(name_of("fourcc:CVID"), Some("Cinepak"));
        assert_eq!(name_of("fourcc:aprh"), Some("ProRes RAW"));
        assert_eq!(name_of("fourcc:rle"), Some("Run-length"));
        for unknown in ["fourcc:", "fourcc:apr", "fourcc:aprn aprh", "fourcc:x\u{1b}[2", "cvid"] {
            assert_eq!(name_of(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn no_code_has_two_names() {
        let mut codes: Vec<_> = FOURCCS.iter().flat_map(|(codes, _)| codes.split(' ')).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
