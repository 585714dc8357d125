//! File systems that become full, read-only or broken on demand, for services whose state is on them.
//! They are unmounted when dropped. All need root; what this host cannot provide is reported to the caller.

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};
use nix::unistd::geteuid;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Size of an image that contains a file system.
const IMAGE_BYTES: u64 = 128 << 20;

/// The quota group of the first subvolume of a Btrfs.
const QGROUP: &str = "0/256";

/// A file system of its own.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    image: Option<PathBuf>,
}

/// Why a file system cannot be made on this host.
pub type Unavailable = String;

impl Disk {
    /// One of 8 MiB, in memory.
    pub fn small(at: &Path) -> Result<Self, Unavailable> {
        require_root()?;
        let mounted = fs::create_dir_all(at).and_then(|()| {
            Ok(mount(Some("none"), at, Some("tmpfs"), MsFlags::empty(), Some("size=8m"))?)
        });
        mounted.map_err(|error| format!("no file system in memory: {error}"))?;
        Ok(Self { at: at.to_owned(), image: None })
    }

    /// One with a quota that also applies to root: a subvolume of a Btrfs, whose top level is mounted
    /// beside it without a quota.
    pub fn with_quota(at: &Path) -> Result<Self, Unavailable> {
        let (top, make) = (top(at), ["mkfs.btrfs", "--quiet", "--mixed"]);
        let mut disk = Self::on_an_image(&top, &make, "defaults")?;
        let volume = top.join("volume");
        run(&["btrfs", "subvolume", "create"], &volume)?;
        run(&["btrfs", "quota", "enable"], &top)?;
        run(&["btrfs", "quota", "rescan", "-w"], &top)?;
        let bound = fs::create_dir_all(at).and_then(|()| {
            Ok(mount(Some(&volume), at, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
        });
        bound.map_err(|error| format!("a subvolume cannot be mounted: {error}"))?;
        disk.at = at.to_owned();
        Ok(disk)
    }

    /// One that can be broken (ext4).
    pub fn fragile(at: &Path) -> Result<Self, Unavailable> {
        let make = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"];
        Self::on_an_image(at, &make, "errors=remount-ro")
    }

    fn on_an_image(at: &Path, make: &[&str], options: &str) -> Result<Self, Unavailable> {
        require_root()?;
        let image = at.with_extension("image");
        let made = fs::create_dir_all(at)
            .and_then(|()| File::create(&image))
            .and_then(|file| file.set_len(IMAGE_BYTES));
        made.map_err(|error| format!("no image: {error}"))?;
        run(make, &image)?;
        let disk = Self { at: at.to_owned(), image: Some(image) };
        disk.mount(options)?;
        Ok(disk)
    }

    fn mount(&self, options: &str) -> Result<(), Unavailable> {
        let image = self.image.as_ref().ok_or("no image")?.to_string_lossy();
        run(&["mount", "-o", &format!("loop,{options}"), &image], &self.at)
    }

    /// Fills it, leaving this many bytes free.
    pub fn fill_except(&self, free: u64) -> Result<()> {
        let mut file = File::create(self.at.join("ballast"))?;
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata()?.len();
        file.set_len(size.saturating_sub(free))?;
        Ok(())
    }

    /// Removes the file that fills it.
    pub fn free(&self) -> Result<()> {
        let ballast = self.at.join("ballast");
        // A process that another test has just started may still have the file open, in which case
        // removing it does not free its space; truncating does.
        File::create(&ballast)?;
        Ok(fs::remove_file(ballast)?)
    }

    /// Allows this many bytes to be written in addition to those stored.
    pub fn allow(&self, bytes: u64) -> Result<()> {
        File::open(&self.at)?.sync_all()?;
        let top = top(&self.at);
        let show = ["qgroup", "show", "--raw", "--sync"];
        let output = Command::new("btrfs").args(show).arg(top).output()?;
        let table = String::from_utf8(output.stdout)?;
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.first() == Some(&QGROUP));
        let used = line.and_then(|words| words.get(1)?.parse::<u64>().ok());
        let used = used.with_context(|| format!("no use of {QGROUP} in {table}"))?;
        self.limit(&(used + bytes).to_string())
    }

    /// Removes the limit.
    pub fn allow_all(&self) -> Result<()> {
        self.limit("none")
    }

    fn limit(&self, bytes: &str) -> Result<()> {
        run(&["btrfs", "qgroup", "limit", bytes, QGROUP], &top(&self.at))
            .map_err(anyhow::Error::msg)
    }

    /// Makes the kernel report an error in it, after which nothing can be written until it is mounted again.
    pub fn fail(&self) -> Result<()> {
        let source = Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.at).output()?;
        let device = String::from_utf8(source.stdout)?.trim().replace("/dev/", "");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")?;
        Ok(())
    }

    /// Mounts it again, without the error.
    pub fn repair(&self) -> Result<()> {
        unmount(&self.at);
        self.mount("defaults").map_err(anyhow::Error::msg)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.at);
        let top = top(&self.at);
        if top.exists() {
            unmount(&top);
        }
        if let Some(image) = &self.image {
            let _ = fs::remove_file(image);
        }
    }
}

/// A read-only mount over a folder: it applies to files opened by path; files that are already open stay
/// writable.
#[derive(Debug)]
pub struct ReadOnlyMount(PathBuf);

impl ReadOnlyMount {
    /// Needs root.
    pub fn over(path: &Path) -> Result<Self> {
        mount(Some(path), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        let mounted = Self(path.to_owned());
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, path, None::<&str>, flags, None::<&str>)?;
        ensure!(fs::write(path.join("probe"), "").is_err(), "{path:?} is writable");
        Ok(mounted)
    }
}

impl Drop for ReadOnlyMount {
    fn drop(&mut self) {
        // Files in it may be open.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Where the top level of a file system with a quota is mounted.
fn top(at: &Path) -> PathBuf {
    at.with_extension("top")
}

/// Fails without the privilege to mount file systems.
fn require_root() -> Result<(), Unavailable> {
    if geteuid().is_root() { Ok(()) } else { Err("mounting a file system needs root".into()) }
}

fn run(command: &[&str], last: &Path) -> Result<(), Unavailable> {
    let mut program = Command::new(command[0]);
    let output = program.args(&command[1..]).arg(last).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", command[0]))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", command[0], stderr.trim())) }
}

/// Tries until it succeeds: the last descriptors are closed when the last thread of the service ends.
fn unmount(at: &Path) {
    let start = Instant::now();
    while umount(at).is_err() && start.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
}
