//! What all graphs have in common: how elements are made, and how a graph is started and stopped.
//! Called by all that build one.

use super::error::VideoError;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::sync::{Arc, Mutex};

/// A pipeline that is stopped when dropped, so that no thread outlives it.
pub(super) struct Running(pub(super) gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        // Stopping cannot be refused; there is nobody to tell either.
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A graph that grows while it runs, as its own threads see it.
///
/// No element joins before the start is over. The start locks the state of one element after the
/// other, and waits for streams to pause; a thread that has an element join holds a stream, and
/// waits for the state of that element.
#[derive(Clone)]
pub(super) struct Growing {
    pipeline: glib::WeakRef<gst::Pipeline>,
    start: Arc<Mutex<()>>,
}

impl Growing {
    pub(super) fn new(pipeline: &gst::Pipeline) -> Self {
        Self { pipeline: pipeline.downgrade(), start: Arc::default() }
    }

    /// Starts the graph.
    pub(super) fn start(&self) -> Result<(), VideoError> {
        let _under_way = self.start.lock().expect("no holder panics");
        self.pipeline()?.set_state(gst::State::Playing).map(drop).map_err(graph("start"))
    }

    /// Takes elements in, once the graph has started.
    pub(super) fn add<'a>(
        &self,
        elements: impl IntoIterator<Item = &'a gst::Element>,
    ) -> Result<(), VideoError> {
        drop(self.start.lock().expect("no holder panics"));
        self.pipeline()?.add_many(elements).map_err(graph("grow"))
    }

    fn pipeline(&self) -> Result<gst::Pipeline, VideoError> {
        self.pipeline.upgrade().ok_or("it is being stopped").map_err(graph("grow"))
    }
}

/// A new element. Errors name it: `plugins` has made sure that all exist.
pub(super) fn element(name: &'static str) -> Result<gst::Element, VideoError> {
    gst::ElementFactory::make(name).build().map_err(|_| VideoError::Element(name))
}

/// Names the step of building or running the graph that failed.
pub(super) fn graph<E: std::fmt::Display>(step: &'static str) -> impl Fn(E) -> VideoError {
    move |cause| VideoError::Graph { step, cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    #[test]
    fn nothing_joins_a_graph_that_is_being_started() {
        crate::video::init().expect("GStreamer initialises");
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08mdat").expect("takes bytes");
        let reader = super::super::reader::reader(Arc::new(file)).expect("reads");
        let finder = element("typefind").expect("finds");
        let pipeline = Running(gst::Pipeline::new());
        pipeline.0.add_many([reader.upcast_ref(), &finder]).expect("takes both");
        reader.link(&finder).expect("links");

        let growing = Growing::new(&pipeline.0);
        let wishes_to_join = Arc::new(Barrier::new(2));
        // The start goes on only when a thread of the graph wishes to join.
        let wish = Arc::clone(&wishes_to_join);
        pipeline.0.bus().expect("a bus").set_sync_handler(move |_, message| {
            if let gst::MessageView::StateChanged(change) = message.view()
                && message.src().is_some_and(|source| source.name().starts_with("typefind"))
                && change.current() == gst::State::Paused
                && change.old() == gst::State::Ready
            {
                wish.wait();
            }
            gst::BusSyncReply::Drop
        });
        let (tell, told) = channel();
        let (graph, grower) = (pipeline.0.downgrade(), growing.clone());
        finder.connect("have-type", false, move |_| {
            wishes_to_join.wait();
            grower.add([&element("fakesink").expect("a sink")]).expect("joins");
            let _ = tell.send(graph.upgrade().map(|graph| graph.current_state()));
            None
        });
        growing.start().expect("starts");
        assert_eq!(told.recv().expect("the type is found"), Some(gst::State::Playing));
    }
}
