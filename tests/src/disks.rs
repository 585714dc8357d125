//! File systems that run out of room or of leave on demand, for services whose state is on them.
//! Gone with their test. All take root; what this host does not give is said, not passed over.

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};
use nix::unistd::geteuid;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of an image that holds a file system.
const IMAGE_BYTES: u64 = 128 << 20;

/// What Btrfs calls the quota of the first subvolume.
const QGROUP: &str = "0/256";

/// A file system of its own.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    image: Option<PathBuf>,
}

/// What a host lacks for a file system, or why it cannot be made.
pub type Unavailable = String;

impl Disk {
    /// One of 8 MiB, in memory.
    pub fn small(at: &Path) -> Result<Self, Unavailable> {
        is_root()?;
        let mounted = fs::create_dir_all(at).and_then(|()| {
            Ok(mount(Some("none"), at, Some("tmpfs"), MsFlags::empty(), Some("size=8m"))?)
        });
        mounted.map_err(|error| format!("no file system in memory: {error}"))?;
        Ok(Self { at: at.to_owned(), image: None })
    }

    /// One with a quota, which holds for root as well: a subvolume of a Btrfs, whose top level,
    /// beside it, has none.
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
        bound.map_err(|error| format!("no view of a subvolume: {error}"))?;
        disk.at = at.to_owned();
        Ok(disk)
    }

    /// One that can be broken (ext4).
    pub fn fragile(at: &Path) -> Result<Self, Unavailable> {
        let make = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"];
        Self::on_an_image(at, &make, "errors=remount-ro")
    }

    fn on_an_image(at: &Path, make: &[&str], options: &str) -> Result<Self, Unavailable> {
        is_root()?;
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

    /// Fills it but for so many bytes.
    pub fn fill_but(&self, free: u64) -> Result<()> {
        let mut file = File::create(self.at.join("ballast"))?;
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata()?.len();
        file.set_len(size.saturating_sub(free))?;
        Ok(())
    }

    /// Takes what filled it away.
    pub fn free(&self) -> Result<()> {
        let ballast = self.at.join("ballast");
        // Another test's newborn process may share the open file for a moment yet: that it is
        // removed alone does not free its room.
        File::create(&ballast)?;
        Ok(fs::remove_file(ballast)?)
    }

    /// Lets so many bytes be written beyond what is there.
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

    /// Lets everything be written again.
    pub fn allow_all(&self) -> Result<()> {
        self.limit("none")
    }

    fn limit(&self, bytes: &str) -> Result<()> {
        run(&["btrfs", "qgroup", "limit", bytes, QGROUP], &top(&self.at))
            .map_err(anyhow::Error::msg)
    }

    /// Has the kernel find a fault in it, so that nothing can be written until it is mounted anew.
    pub fn break_down(&self) -> Result<()> {
        let source = Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.at).output()?;
        let device = String::from_utf8(source.stdout)?.trim().replace("/dev/", "");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")?;
        Ok(())
    }

    /// Mounts it anew, whole.
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

/// The same folder, read-only for whoever goes there by its path; files that are open stay as
/// they are.
#[derive(Debug)]
pub struct Cover(PathBuf);

impl Cover {
    /// Takes root.
    pub fn over(path: &Path) -> Result<Self> {
        mount(Some(path), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        let cover = Self(path.to_owned());
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, path, None::<&str>, flags, None::<&str>)?;
        ensure!(fs::write(path.join("probe"), "").is_err(), "{path:?} takes writes");
        Ok(cover)
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        // Somebody may be reading there.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Where the top level of a file system with a quota is.
fn top(at: &Path) -> PathBuf {
    at.with_extension("top")
}

/// Whether what follows can be done at all.
fn is_root() -> Result<(), Unavailable> {
    if geteuid().is_root() { Ok(()) } else { Err("it takes root to mount a file system".into()) }
}

fn run(command: &[&str], last: &Path) -> Result<(), Unavailable> {
    let mut program = Command::new(command[0]);
    let output = program.args(&command[1..]).arg(last).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", command[0]))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", command[0], told.trim())) }
}

/// The last descriptors close with the service's last thread.
fn unmount(at: &Path) {
    let begun = Instant::now();
    while umount(at).is_err() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
}
