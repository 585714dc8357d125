//! The connection to the supervisor: messages over standard input and output, and the inherited
//! and received descriptors, which are the only other way in or out.

mod channel;
mod inherited;
mod job_files;

pub use channel::{CancelFlag, Channel, ChannelError, Reply};
pub use inherited::{Inherited, NotInherited};
pub use job_files::{JobFiles, JobFilesError, JobFilesSocket};
