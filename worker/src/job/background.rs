//! A value that is created on a background thread while its user does something else first.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

/// A value that is created, or being created.
pub(crate) struct BackgroundValue<'scope, T, E> {
    thread: Option<ScopedJoinHandle<'scope, Result<T, E>>>,
    value: Option<T>,
}

impl<'scope, T: Send + 'scope, E: Send + 'scope> BackgroundValue<'scope, T, E> {
    /// Starts creating it.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        create: impl FnOnce() -> Result<T, E> + Send + 'scope,
    ) -> Self {
        Self { thread: Some(scope.spawn(create)), value: None }
    }

    /// Waits for it. Not to be called again after an error.
    ///
    /// # Errors
    /// It could not be created.
    pub(crate) fn get(&mut self) -> Result<&mut T, E> {
        if let Some(thread) = self.thread.take() {
            self.value = Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(self.value.as_mut().expect("no error was returned before"))
    }

    /// As [`Self::get`], consuming the handle.
    ///
    /// # Errors
    /// It could not be created.
    pub(crate) fn take(mut self) -> Result<T, E> {
        self.get()?;
        Ok(self.value.expect("get succeeded"))
    }
}
