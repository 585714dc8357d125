//! The errors of an ONNX file that cannot be executed.

use thiserror::Error;
use tract_onnx::pb::NodeProto;

/// Why a file cannot be executed.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// tract rejects the file.
    #[error("{0}")]
    Tract(String),
    /// The file lacks something.
    #[error("the graph has no {0}")]
    Missing(String),
    /// A node has an unsupported operation.
    #[error("node {node} ({operation}) {problem}")]
    Node {
        /// Its name.
        node: String,
        /// Its operation.
        operation: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The error for a missing part of the graph.
pub(super) fn missing(what: &str) -> OnnxError {
    OnnxError::Missing(what.into())
}

/// The error for an unsupported node.
pub(super) fn unsupported(node: &NodeProto, problem: &'static str) -> OnnxError {
    let name = if node.name.is_empty() { &node.output[0] } else { &node.name };
    OnnxError::Node { node: name.clone(), operation: node.op_type.clone(), problem }
}
