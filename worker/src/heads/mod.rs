//! Where heads are in a video, and what has to be covered so that none is seen: a circle around each head that is
//! found, and more where one has to be and is not found.
//!
//! Pure: values in, values out, in pixels and seconds.

mod cover;
mod covering;
mod head;
mod trail;

pub(crate) use cover::Cover;
pub(crate) use covering::Covering;
pub(crate) use head::Head;
