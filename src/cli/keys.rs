use crate::seal::Keys;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The most that is read of a file of keys: eight long ones and comments, not a file that was mistaken for one.
const MAX_BYTES: u64 = 64 << 10;

/// The folder of what this user's gateways remember, by the XDG base directory rules: a relative path counts as none.
pub(super) fn folder(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |variable| env(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("tower-mcp-gateway"))
}

/// The file of this user's keys.
pub(super) fn file(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    Some(folder(env)?.join("keys"))
}

/// The keys in `file`, one per line, of which the first seals; made there if there is no such file.
///
/// Of several gateways that make it at once one wins, and all use its key.
pub(super) fn load_or_make(file: &Path) -> io::Result<Keys> {
    match load(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(file)?;
            load(file)
        }
        done => done,
    }
}

fn load(file: &Path) -> io::Result<Keys> {
    let opened = File::open(file)?;
    // A key that others may read is no secret.
    if opened.metadata()?.permissions().mode() & 0o077 != 0 {
        let reason = "other users may read it: `chmod 600` it if they have not, else delete it";
        return Err(io::Error::new(ErrorKind::PermissionDenied, reason));
    }
    let mut text = String::new();
    opened.take(MAX_BYTES).read_to_string(&mut text)?;
    let secrets: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Keys::from_secrets(&secrets).map_err(|invalid| io::Error::new(ErrorKind::InvalidData, invalid))
}

/// Writes the file elsewhere and links it into its place, so that nobody ever reads half of it and an existing one is
/// never replaced.
fn make(file: &Path) -> io::Result<()> {
    let random = || -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    };
    let folder = file.parent().ok_or(ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!(".keys-{:x}", u64::from_le_bytes(random()?[..8].try_into().expect("8 bytes"))));
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = writeln!(written, "{}", STANDARD_NO_PAD.encode(random()?))
        .and_then(|()| written.sync_all())
        .and_then(|()| fs::hard_link(&draft, file));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Purpose;
    use std::{process, thread};

    /// A folder that is removed with its content.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("tower-mcp-gateway-{}-{name}", process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn gateways_that_start_together_have_one_key_and_leave_nothing_else() {
        let folder = Folder::new("race");
        let file = folder.0.join("state/keys");
        let all: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (0..16).map(|_| scope.spawn(|| load_or_make(&file).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let token = all[0].seal(Purpose::Session, b"x");
        assert!(all.iter().all(|keys| keys.open(Purpose::Session, &token).is_some()));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_keys_is_read_again_and_never_replaced() {
        let folder = Folder::new("again");
        let file = folder.0.join("keys");
        let token = load_or_make(&file).unwrap().seal(Purpose::Session, b"x");
        assert!(load_or_make(&file).unwrap().open(Purpose::Session, &token).is_some());
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("\n{}\n{old}", "n".repeat(32))).unwrap();
        assert!(load_or_make(&file).unwrap().open(Purpose::Session, &token).is_some(), "the second key opens");
        for content in ["", "short\n"] {
            fs::write(&file, content).unwrap();
            assert_eq!(load_or_make(&file).unwrap_err().kind(), ErrorKind::InvalidData);
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = Folder::new("mode");
        let file = folder.0.join("keys");
        load_or_make(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_make(&file).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn where_no_folder_can_be_made_there_are_no_keys() {
        let folder = Folder::new("blocked");
        fs::write(folder.0.join("state"), "").unwrap();
        assert!(load_or_make(&folder.0.join("state/tower-mcp-gateway/keys")).is_err());
    }

    #[test]
    fn the_users_folder_is_the_xdg_one_or_the_one_in_home() {
        let with = |set: &'static [(&str, &str)]| {
            file(move |name| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into()))
        };
        let xdg = with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(xdg, Some("/x/tower-mcp-gateway/keys".into()));
        let home = with(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")]);
        assert_eq!(home, Some("/h/.local/state/tower-mcp-gateway/keys".into()));
        assert_eq!(with(&[]), None);
    }
}
