//! Detects that a decoder concealed damage. libav passes such frames on without a flag and only logs
//! an error, in the thread that decodes; `library_log` passes these errors on to here.

use gstreamer as gst;
use gstreamer::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The debug category of libav's messages.
const CATEGORY: &str = "libav";

thread_local! {
    /// Raised by errors in this thread, if it decodes pictures.
    static RAISED_HERE: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// The flag that is raised once the decoder with this input reports an error.
pub(super) fn flag_of(input: &gst::Pad) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    input.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // Threads are reused for other decoders.
        RAISED_HERE.with_borrow_mut(|here| {
            if !here.as_ref().is_some_and(|here| Arc::ptr_eq(here, &raised)) {
                *here = Some(Arc::clone(&raised));
            }
        });
        gst::PadProbeReturn::Ok
    });
    flag
}

/// Takes note of an error that was logged in this thread.
pub(super) fn on_error(category: &str) {
    if category == CATEGORY {
        RAISED_HERE.with_borrow(|here| {
            if let Some(flag) = here {
                flag.store(true, Ordering::Relaxed);
            }
        });
    }
}
