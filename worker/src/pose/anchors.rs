//! Centres of the detector's 2254 anchors: the grid that its raw boxes are relative to.
//!
//! Single-shot detector anchors (Liu et al., 2016) of fixed size over feature maps with strides
//! 8, 16 and three times 32; two anchors a cell and layer, which for fixed sizes coincide.

/// Side of the detector's input, in pixels.
pub(super) const INPUT_SIDE: usize = 224;

/// Strides of the layers, and how many anchors each cell has over all layers of that stride.
const LAYERS: [(usize, usize); 3] = [(8, 2), (16, 2), (32, 6)];

/// Anchor centres as fractions of the input, in the order of the model's output.
pub(super) fn centers() -> Vec<[f32; 2]> {
    let mut centers = Vec::new();
    for (stride, anchors_per_cell) in LAYERS {
        let cells = INPUT_SIDE.div_ceil(stride);
        for row in 0..cells {
            for column in 0..cells {
                let center =
                    [(column as f32 + 0.5) / cells as f32, (row as f32 + 0.5) / cells as f32];
                centers.extend(std::iter::repeat_n(center, anchors_per_cell));
            }
        }
    }
    centers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_anchors_as_the_model_has_boxes() {
        let centers = centers();
        assert_eq!(centers.len(), 2254);
        assert_eq!(centers[0], [0.5 / 28.0, 0.5 / 28.0]);
        assert_eq!(centers[2253], [6.5 / 7.0, 6.5 / 7.0]);
    }
}
