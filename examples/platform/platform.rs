//! The servers behind the gateway, and the folder the files server serves.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::replica::Replica;

/// Every server that runs before the gateway does; the analytics server is the gateway's own child.
pub(crate) struct Platform {
    pub(crate) search: [Replica; 2],
    pub(crate) files: Replica,
    _folder: Folder,
}

impl Platform {
    /// Starts the servers on ports of the system's choice.
    pub(crate) async fn start() -> io::Result<Self> {
        let folder = Folder::new()?;
        let path = folder.0.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let files = Replica::start(&["files", path]).await?;
        let search = [Replica::start(&["search", "search-1"]).await?, Replica::start(&["search", "search-2"]).await?];
        let running = [("search-1", &search[0]), ("search-2", &search[1]), ("files-1", &files)];
        for (id, replica) in running {
            println!("{id:<9} {} (HTTP+SSE, process {})", replica.url(), replica.pid().unwrap_or_default());
        }
        Ok(Self { search, files, _folder: folder })
    }
}

/// A folder with two files that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("mcp-platform-{:016x}", fastrand::u64(..)));
        fs::create_dir(&path)?;
        let folder = Self(path);
        folder.write("welcome.txt", "Welcome to the platform.\n")?;
        folder.write("notes/tour.md", "# Tour\n\nOne search replica dies and returns.\n")?;
        Ok(folder)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let file = self.0.join(path);
        fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
        fs::write(file, text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing is lost if a file stays behind in the system's folder for temporary ones.
        let _ = fs::remove_dir_all(&self.0);
    }
}
