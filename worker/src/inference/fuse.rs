//! Fuses expansion, depthwise convolution and projection into one layer where no other layer reads
//! the pictures between them. Called by `onnx`.

use super::network::{ExpandStage, Layer, Network, Operation, PictureId};

/// Fuses all layers that can be fused.
pub(super) fn fuse(network: &mut Network) {
    let mut readers = vec![0; network.pictures.len()];
    let outputs = network.outputs.iter().flat_map(|output| output.parts.iter().copied());
    network.layers.iter().flat_map(Layer::reads).chain(outputs).for_each(|id| readers[id] += 1);
    let mut kept: Vec<Layer> = Vec::with_capacity(network.layers.len());
    for layer in network.layers.drain(..) {
        let Layer { input: Some(input), output, operation: Operation::Pointwise { .. } } = layer
        else {
            kept.push(layer);
            continue;
        };
        let is_depthwise = |operation: &Operation| matches!(operation, Operation::Depthwise(_));
        let Some(middle) = take(&mut kept, input, &readers, is_depthwise) else {
            kept.push(layer);
            continue;
        };
        let before = middle.input.and_then(|id| take(&mut kept, id, &readers, can_be_first_stage));
        let (input, first) = match before {
            Some(Layer { operation: Operation::Stem(stem), .. }) => (None, ExpandStage::Stem(stem)),
            Some(Layer { input, operation: Operation::Pointwise { product, .. }, .. }) => {
                (input, ExpandStage::Expand(product))
            }
            _ => (middle.input, ExpandStage::Given),
        };
        if let (Operation::Depthwise(depthwise), Operation::Pointwise { product, addend }) =
            (middle.operation, layer.operation)
        {
            let project = product;
            let operation = Operation::Bottleneck { first, depthwise, project, addend };
            kept.push(Layer { input, output, operation });
        }
    }
    network.layers = kept;
}

/// Removes the layer that computes this picture, if it has one reader and the right operation.
fn take(
    layers: &mut Vec<Layer>,
    picture: PictureId,
    readers: &[usize],
    is_right: impl Fn(&Operation) -> bool,
) -> Option<Layer> {
    let at = layers.iter().position(|layer| layer.output == picture)?;
    (readers[picture] == 1 && is_right(&layers[at].operation)).then(|| layers.remove(at))
}

const fn can_be_first_stage(operation: &Operation) -> bool {
    matches!(operation, Operation::Stem(_) | Operation::Pointwise { addend: None, .. })
}
