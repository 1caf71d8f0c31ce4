//! Whether plugins may lie where anybody can change them: whoever may write there decides what this server runs.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::unserved::Unserved;

/// File systems of other systems, on which every file looks as if anybody might write to it: Windows' own below WSL
/// (`drvfs`, `9p`), shares, removable disks, folders that a virtual machine gets from its host.
const WITHOUT_MODES: [&str; 14] = [
    "9p",
    "cifs",
    "drvfs",
    "exfat",
    "fuse.vmhgfs-fuse",
    "fuseblk",
    "msdos",
    "ntfs",
    "ntfs3",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "vfat",
];

/// The table of mounts: proc_pid_mountinfo(5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// Judges what anybody may write to, and remembers what it let pass.
#[derive(Debug)]
pub struct WriteGuard {
    allow: bool,
    /// The table of mounts; read when it is needed.
    mounts: Option<String>,
    passed: Vec<PathBuf>,
    /// The type of the file system that has no modes.
    without_modes: Option<String>,
}

impl WriteGuard {
    /// A guard that lets everything pass where `allow` is set (`MCP_ALLOW_WRITABLE_PLUGINS`).
    pub fn new(allow: bool) -> Self {
        Self {
            allow,
            mounts: None,
            passed: Vec::new(),
            without_modes: None,
        }
    }

    /// Lets a path pass, or not.
    ///
    /// # Errors
    /// Anybody may write there, and nothing says that this is meant or cannot be otherwise.
    pub fn check(&mut self, path: &Path, metadata: &Metadata) -> Result<(), Unserved> {
        if metadata.permissions().mode() & 0o002 == 0 {
            return Ok(());
        }
        if !self.allow {
            let mounts = self
                .mounts
                .get_or_insert_with(|| std::fs::read_to_string(MOUNTS).unwrap_or_default());
            let Some(kind) = without_modes(mounts, metadata.dev()) else {
                return Err(Unserved::Plugin(format!(
                    "anybody may write to {path}; forbid it: chmod o-w {path}; or serve it all the same: \
                     MCP_ALLOW_WRITABLE_PLUGINS=1",
                    path = path.display()
                )));
            };
            self.without_modes = Some(kind.to_owned());
        }
        self.passed.push(path.to_owned());
        Ok(())
    }

    /// One warning for all that passed.
    pub fn warning(self) -> Option<String> {
        let first = self.passed.first()?.display();
        let more = match self.passed.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let advice = match self.without_modes {
            Some(kind) => format!(
                "the file system there ({kind}) has no modes; move the plugins to one that has, such as your home directory"
            ),
            None => "MCP_ALLOW_WRITABLE_PLUGINS allows it; chmod o-w forbids it".to_owned(),
        };
        Some(format!(
            "DANGER: anybody who can write to {first}{more} decides what this server runs: {advice}"
        ))
    }
}

/// Whether a file lies on a file system without modes, where every file looks as if anybody might write to it.
pub fn has_no_modes(metadata: &Metadata) -> bool {
    let mounts = std::fs::read_to_string(MOUNTS).unwrap_or_default();
    without_modes(&mounts, metadata.dev()).is_some()
}

/// The type of the file system with this device number, if it is one without modes. `mounts` is the text of
/// proc_pid_mountinfo(5).
fn without_modes(mounts: &str, device: u64) -> Option<&str> {
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let kind = mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        (mount.split(' ').nth(2)? == device).then(|| system.split(' ').next())?
    })?;
    WITHOUT_MODES.contains(&kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_without_modes_are_known_by_the_table_of_mounts() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      90 22 0:52 / /mnt/c rw,noatime - 9p C:\\134 rw,aname=drvfs\n\
                      91 22 0:53 / /mnt/share rw shared:7 master:2 - cifs //nas/s rw\n\
                      92 22 8:17 / /media/stick rw - vfat /dev/sdb1 rw,fmask=0000\n";
        for (device, kind) in [
            ((8, 1), None),
            ((0, 52), Some("9p")),
            ((0, 53), Some("cifs")),
            ((8, 17), Some("vfat")),
            ((0, 5), None),
        ] {
            let number = rustix::fs::makedev(device.0, device.1);
            assert_eq!(without_modes(mounts, number), kind, "{device:?}");
        }
        assert_eq!(without_modes("", rustix::fs::makedev(8, 1)), None);
    }

    #[test]
    fn where_there_are_no_modes_it_is_served_with_a_warning_that_says_why() {
        let directory = tempfile::tempdir().expect("there is room");
        let open = directory.path();
        std::fs::set_permissions(open, PermissionsExt::from_mode(0o777)).expect("it is ours");
        let metadata = std::fs::metadata(open).expect("it is there");
        let device = metadata.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        for (kind, is_served) in [("ext4", false), ("9p", true)] {
            let mut guard = WriteGuard::new(false);
            guard.mounts = Some(format!("1 1 {major}:{minor} / / rw - {kind} none rw\n"));
            let judged = guard.check(open, &metadata);
            assert_eq!(judged.is_ok(), is_served, "{kind}: {judged:?}");
            let warning = guard.warning();
            assert_eq!(warning.is_some(), is_served, "{kind}: {warning:?}");
            if let Some(warning) = warning {
                assert!(
                    warning.contains("DANGER") && warning.contains("(9p)"),
                    "{warning}"
                );
            }
        }
    }
}
