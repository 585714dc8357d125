//! Ordinary operations of a worker inside the closed sandbox, and other tasks of the tests.

use crate::attempts::{Attempt, call};
use crate::{kernel, libraries};
use bodyscript_worker::sandbox::policy::{self, Action, Comparison};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Prepares the task of this name, if there is one.
pub(crate) fn prepare(name: &str) -> Option<Attempt> {
    Some(match name {
        "threads_start_and_join" => Box::new(threads_start_and_join),
        "memory_is_allocated_and_returned" => Box::new(memory_is_allocated_and_returned),
        "inherited_files_are_read_and_written" => inherited_files_are_read_and_written(),
        "the_clock_runs" => Box::new(the_clock_runs),
        "a_panic_is_reported_and_caught" => Box::new(a_panic_is_reported_and_caught),
        "harmless_probes_of_libraries_fail_without_a_signal" => Box::new(harmless_probes),
        "every_refusal_with_an_error_returns_it" => {
            Box::new(every_refusal_with_an_error_returns_it)
        }
        "abort" => Box::new(|| std::process::abort()),
        "load_a_library" => Box::new(load_a_library),
        "parent_death_and_dumps" => Box::new(parent_death_and_dumps),
        "core_is_not_shared" => Box::new(core_is_not_shared),
        "idle" => Box::new(|| Ok(())),
        other => return libraries::prepare(other),
    })
}

fn threads_start_and_join() -> Result<(), Errno> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let sender = sender.clone();
            let builder = thread::Builder::new().name(format!("worker {number}"));
            builder.spawn(move || sender.send(number)).expect("a thread starts")
        })
        .collect();
    drop(sender);
    let sum: i32 = receiver.into_iter().sum();
    assert_eq!(sum, 28);
    threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    thread::available_parallelism().expect("the number of processors is known");
    Ok(())
}

/// Small, large and growing allocations in several threads, to use all paths of the allocator.
fn memory_is_allocated_and_returned() -> Result<(), Errno> {
    let work = || {
        let mut large = vec![1_u8; 32 << 20];
        large.resize(64 << 20, 2);
        let small: Vec<_> = (0..100_000).map(|n: u32| Box::new(n)).collect();
        let table: HashMap<_, _> = small.iter().map(|n| (**n, n)).collect();
        assert_eq!((large.len(), table.len()), (64 << 20, 100_000));
    };
    thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(work)));
    });
    Ok(())
}

fn inherited_files_are_read_and_written() -> Attempt {
    let path = std::env::temp_dir().join("artefact");
    let mut file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
    let mut video = File::open("/etc/passwd").expect("everyone may read it");
    Box::new(move || {
        let size = video.metadata().expect("its size is known").len();
        let mut contents = Vec::new();
        video.read_to_end(&mut contents).expect("it is read");
        assert_eq!(contents.len() as u64, size);
        video.seek(SeekFrom::Start(0)).expect("it seeks");
        let mut again = video.try_clone().expect("a second handle");
        file.write_all(b"header").expect("it is written");
        io::copy(&mut again, &mut file).expect("it is copied");
        file.seek(SeekFrom::Start(0)).expect("it seeks");
        file.write_all(b"HEADER").expect("it is written over");
        file.set_len(6).expect("it is cut");
        io::stderr().write_all(b"a log line\n").expect("the log is open");
        let mut nothing = [0; 1];
        assert_eq!(io::stdin().read(&mut nothing).expect("the frames are open"), 0);
        Ok(())
    })
}

fn the_clock_runs() -> Result<(), Errno> {
    let (wall, steady) = (SystemTime::now(), Instant::now());
    thread::sleep(Duration::from_millis(1));
    assert!(steady.elapsed() >= Duration::from_millis(1));
    assert!(wall > SystemTime::UNIX_EPOCH);
    let (_sender, receiver) = mpsc::channel::<()>();
    assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
    Ok(())
}

/// The panic report tries to read the program's file and the working directory, and fails.
fn a_panic_is_reported_and_caught() -> Result<(), Errno> {
    let outcome = panic::catch_unwind(|| panic!("a deliberate panic"));
    assert!(outcome.is_err());
    Ok(())
}

fn harmless_probes() -> Result<(), Errno> {
    let denied = |outcome: io::Error| assert!(outcome.raw_os_error().is_some());
    denied(File::open("/etc/localtime").unwrap_err());
    denied(fs::metadata("/etc/localtime").unwrap_err());
    denied(fs::read_link("/proc/self/exe").unwrap_err());
    denied(std::env::current_dir().unwrap_err());
    assert!(!io::IsTerminal::is_terminal(&io::stderr()));
    Ok(())
}

/// Each call for which the policy returns an error, as it is listed: never executed, so that null
/// pointers do no harm.
fn every_refusal_with_an_error_returns_it() -> Result<(), Errno> {
    let mut refused = 0;
    for rule in policy::rules() {
        let Action::Error(errno) = rule.action else { continue };
        let mut arguments = [0_i64; 6];
        for condition in rule.when {
            arguments[usize::from(condition.argument)] = match condition.comparison {
                Comparison::Equals(value) | Comparison::MaskedEquals { value, .. } => value.into(),
                Comparison::NotEquals(value) => (!value).into(),
                Comparison::EqualsOwnPid => std::process::id().into(),
            };
        }
        let outcome = call(rule.call, arguments).map_err(|errno| errno as i32);
        assert_eq!(outcome, Err(errno), "{rule:?}");
        refused += 1;
    }
    assert!(refused >= policy::QUERIES.len(), "{refused} calls");
    Ok(())
}

fn load_a_library() -> Result<(), Errno> {
    // SAFETY: the name ends with a NUL; the library, a part of the C library, has no relevant
    // constructor.
    let handle = unsafe { libc::dlopen(c"libresolv.so.2".as_ptr(), libc::RTLD_NOW) };
    if handle.is_null() { Err(Errno::ENOENT) } else { Ok(()) }
}

fn core_is_not_shared() -> Result<(), Errno> {
    if kernel::core_tag()? == 0 { Err(Errno::ENODATA) } else { Ok(()) }
}

fn parent_death_and_dumps() -> Result<(), Errno> {
    assert_eq!(prctl::get_pdeathsig()?, Some(Signal::SIGKILL));
    assert!(!prctl::get_dumpable()?);
    assert!(prctl::get_no_new_privs()?);
    Ok(())
}
