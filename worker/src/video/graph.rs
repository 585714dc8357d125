//! Common parts of all graphs: creating elements, starting and stopping. Called by the files that
//! build a graph.

use super::error::VideoError;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::sync::{Arc, Mutex};

/// A pipeline that is stopped when dropped, so that no thread outlives it.
pub(super) struct RunningPipeline(pub(super) gst::Pipeline);

impl Drop for RunningPipeline {
    fn drop(&mut self) {
        // The change to this state cannot fail.
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A handle for the graph's own threads to add elements while it runs.
///
/// No element is added before the start is complete. The start locks the states of the elements one
/// after the other and waits for streams to pause; a thread that adds an element holds a stream and
/// waits for the state of that element.
#[derive(Clone)]
pub(super) struct DynamicPipeline {
    pipeline: glib::WeakRef<gst::Pipeline>,
    start: Arc<Mutex<()>>,
}

impl DynamicPipeline {
    pub(super) fn new(pipeline: &gst::Pipeline) -> Self {
        Self { pipeline: pipeline.downgrade(), start: Arc::default() }
    }

    /// Starts the graph.
    pub(super) fn start(&self) -> Result<(), VideoError> {
        let _starting = self.start.lock().expect("no holder panics");
        self.pipeline()?.set_state(gst::State::Playing).map(drop).map_err(graph_error("start"))
    }

    /// Adds elements, once the graph has started.
    pub(super) fn add<'a>(
        &self,
        elements: impl IntoIterator<Item = &'a gst::Element>,
    ) -> Result<(), VideoError> {
        drop(self.start.lock().expect("no holder panics"));
        self.pipeline()?.add_many(elements).map_err(graph_error("add elements"))
    }

    fn pipeline(&self) -> Result<gst::Pipeline, VideoError> {
        self.pipeline.upgrade().ok_or("it is being stopped").map_err(graph_error("add elements"))
    }
}

/// Creates an element; `plugins` has checked that all exist.
pub(super) fn element(name: &'static str) -> Result<gst::Element, VideoError> {
    gst::ElementFactory::make(name).build().map_err(|_| VideoError::Element(name))
}

/// Converts an error, with the step of building or running the graph that failed.
pub(super) fn graph_error<E: std::fmt::Display>(step: &'static str) -> impl Fn(E) -> VideoError {
    move |cause| VideoError::Graph { step, cause: cause.to_string() }
}

/// Ends the idle threads of stopped graphs, within half a second.
pub fn stop_idle_threads() {
    glib::ThreadPool::set_max_unused_threads(Some(0));
}

#[cfg(test)]
mod tests {
    use super::super::corrected_file::{CorrectedFile, Corrections};
    use super::*;
    use std::io::Write;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    #[test]
    fn no_element_is_added_while_the_graph_is_starting() {
        crate::video::init().expect("GStreamer initialises");
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08mdat").expect("takes bytes");
        let file = Arc::new(CorrectedFile::new(file, Corrections::default()));
        let reader = super::super::reader::reader(file).expect("reads");
        let finder = element("typefind").expect("finds");
        let pipeline = RunningPipeline(gst::Pipeline::new());
        pipeline.0.add_many([reader.upcast_ref(), &finder]).expect("takes both");
        reader.link(&finder).expect("links");

        let dynamic = DynamicPipeline::new(&pipeline.0);
        let adds_element = Arc::new(Barrier::new(2));
        // The start continues only when a thread of the graph is about to add an element.
        let add = Arc::clone(&adds_element);
        pipeline.0.bus().expect("a bus").set_sync_handler(move |_, message| {
            if let gst::MessageView::StateChanged(change) = message.view()
                && message.src().is_some_and(|source| source.name().starts_with("typefind"))
                && change.current() == gst::State::Paused
                && change.old() == gst::State::Ready
            {
                add.wait();
            }
            gst::BusSyncReply::Drop
        });
        let (sender, receiver) = channel();
        let (graph, grower) = (pipeline.0.downgrade(), dynamic.clone());
        finder.connect("have-type", false, move |_| {
            adds_element.wait();
            grower.add([&element("fakesink").expect("a sink")]).expect("is added");
            let _ = sender.send(graph.upgrade().map(|graph| graph.current_state()));
            None
        });
        dynamic.start().expect("starts");
        assert_eq!(receiver.recv().expect("the type is found"), Some(gst::State::Playing));
    }
}
