//! A value that a thread of its own makes while its user does something else first.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

/// A value that is made, or being made.
pub(crate) struct Upcoming<'scope, T, E> {
    thread: Option<ScopedJoinHandle<'scope, Result<T, E>>>,
    value: Option<T>,
}

impl<'scope, T: Send + 'scope, E: Send + 'scope> Upcoming<'scope, T, E> {
    /// Begins to make it.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        make: impl FnOnce() -> Result<T, E> + Send + 'scope,
    ) -> Self {
        Self { thread: Some(scope.spawn(make)), value: None }
    }

    /// Waits for it. Not to be asked again after an error.
    ///
    /// # Errors
    /// Why it could not be made.
    pub(crate) fn get(&mut self) -> Result<&mut T, E> {
        if let Some(thread) = self.thread.take() {
            self.value = Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(self.value.as_mut().expect("no error was told before"))
    }

    /// As [`Self::get`], for good.
    ///
    /// # Errors
    /// Why it could not be made.
    pub(crate) fn take(mut self) -> Result<T, E> {
        self.get()?;
        Ok(self.value.expect("it was just there"))
    }
}
