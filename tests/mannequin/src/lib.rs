//! The mannequin: pictures of people whose joints are known exactly, for tests that need a person
//! in front of the camera and the truth about where they stand.
//!
//! A [`Pose`] gives the joint angles, a [`Figure`] places it on the floor, a [`Scene`] gathers
//! figures. [`render()`] draws the scene through a [`Camera`]; [`project`] says where in that picture
//! the 33 BlazePose landmarks of a figure truly are. Both read the same [`Skeleton`], and the body
//! is shaped around it, so picture and truth cannot drift apart.
//!
//! Called by the clip encoder and by tests. It draws; it must never read or write a file.

mod body;
mod camera;
mod image;
mod pose;
mod render;
mod scene;
mod skeleton;
mod solid;
mod walk;

pub use body::{Clothes, SKIN};
pub use camera::{Camera, TrueLandmark, project};
pub use image::RgbImage;
pub use pose::{Arm, GAIT_CYCLE_S, Leg, Pose};
pub use render::render;
pub use scene::{Figure, Scene};
pub use skeleton::Skeleton;
pub use walk::distance_walked;
