//! Reads the parts of an ONNX graph: tensors, shapes, attributes.

use super::error::OnnxError;
use crate::inference::network::Tap;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::TractError;
use tract_onnx::tensor::load_tensor;

/// A tensor of the file.
pub(super) struct Constant {
    pub(super) sides: Vec<usize>,
    pub(super) numbers: Vec<f32>,
}

impl Constant {
    /// A number of a tensor with four sides.
    pub(super) fn at(&self, [o, i, y, x]: [usize; 4]) -> f32 {
        let [_, inputs, height, width] = [0, 1, 2, 3].map(|side| self.sides[side]);
        self.numbers[((o * inputs + i) * height + y) * width + x]
    }
}

/// The one or two columns of each row of a matrix that are not zero.
pub(super) fn taps(
    matrix: &Constant,
    at: impl Fn(&Constant, usize, usize) -> f32,
) -> Option<Vec<Tap>> {
    let [a, b] = matrix.sides[..] else { return None };
    let (inputs, outputs) = (a.min(b), a.max(b));
    let tap = |out| {
        let share = |at_input| at(matrix, out, at_input);
        let used: Vec<usize> = (0..inputs).filter(|input| share(*input) != 0.0).collect();
        match used[..] {
            [only] => Some(Tap { at: [only, only], share: [share(only), 0.0] }),
            [first, second] => {
                Some(Tap { at: [first, second], share: [share(first), share(second)] })
            }
            _ => None,
        }
    };
    (0..outputs).map(tap).collect()
}

pub(super) fn constant(tensor: &TensorProto) -> Result<(&str, Constant), OnnxError> {
    let tract_error = |error: TractError| OnnxError::Tract(format!("{error:#}"));
    let provider = tract_onnx::onnx().provider;
    let read = load_tensor(&*provider, tensor, None).map_err(tract_error)?;
    let sides = read.shape().to_vec();
    let numbers = read.cast_to::<f32>().map_err(tract_error)?;
    let numbers =
        numbers.try_as_plain_ram().and_then(|plain| Ok(plain.as_slice::<f32>()?.to_vec()));
    Ok((&tensor.name, Constant { sides, numbers: numbers.map_err(tract_error)? }))
}

pub(super) fn sides(value: &ValueInfoProto) -> Vec<usize> {
    let kind = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(Type::TensorType(tensor)) = kind else { return Vec::new() };
    let shape = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let side = |dimension: &Option<Dimension>| match dimension {
        Some(Dimension::DimValue(side)) => usize::try_from(*side).unwrap_or(0),
        _ => 0,
    };
    shape.map(|dimension| side(&dimension.value)).collect()
}

pub(super) fn integers(node: &NodeProto, name: &str) -> Vec<i64> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
    attribute
        .map_or_else(Vec::new, |it| if it.ints.is_empty() { vec![it.i] } else { it.ints.clone() })
}

/// The first integer of an attribute: convolutions and pools here are equal along both axes.
pub(super) fn integer(node: &NodeProto, name: &str) -> Option<usize> {
    integers(node, name).first().and_then(|value| usize::try_from(*value).ok())
}
