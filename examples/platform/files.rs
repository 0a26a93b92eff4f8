//! The files server: a folder to list and read, as tools and as resources of the template `file:///{path}`.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use serde_json::{Value, json};

use crate::kit::{Fault, Request, Server, failed, text, tool};

const SCHEME: &str = "file:///";

/// A server of the files below one folder, and of nothing else.
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// Serves what is below `root`, which must exist.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// Reads a file; a path that leads out of the folder, by `..` or by a link, is no file of this server.
    fn read(&self, path: &str) -> io::Result<String> {
        let outside = || io::Error::new(io::ErrorKind::PermissionDenied, "the path leads out of the folder");
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let file = self.root.join(path).canonicalize()?;
        if !file.starts_with(&self.root) {
            return Err(outside());
        }
        fs::read_to_string(file)
    }

    /// The paths of all files, in order.
    fn list(&self) -> io::Result<Vec<String>> {
        let (mut folders, mut files) = (vec![self.root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                match entry.file_type()? {
                    kind if kind.is_dir() => folders.push(entry.path()),
                    kind if kind.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        let relative = files.iter().filter_map(|file| file.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned));
        let mut files: Vec<_> = relative.collect();
        files.sort();
        Ok(files)
    }

    fn call(&self, request: &Request) -> Result<Value, Fault> {
        match request.params["name"].as_str() {
            Some("read_file") => Ok(self.read(request.text("path")?).map_or_else(|e| failed(e.to_string()), text)),
            Some("list_files") => Ok(self.list().map_or_else(|e| failed(e.to_string()), |all| text(all.join("\n")))),
            _ => Err(Fault::params("unknown tool")),
        }
    }

    fn resources(&self) -> Result<Value, Fault> {
        let files = self.list().map_err(|error| Fault { code: -32603, message: error.to_string(), data: None })?;
        let entry = |path: &String| json!({ "uri": uri(path), "name": path, "mimeType": "text/plain" });
        Ok(json!({ "resources": files.iter().map(entry).collect::<Vec<_>>() }))
    }

    fn resource(&self, params: &Value) -> Result<Value, Fault> {
        let uri = params["uri"].as_str().ok_or_else(|| Fault::params("uri must be a string"))?;
        let path = uri.strip_prefix(SCHEME).and_then(decode).ok_or_else(|| Fault::resource(uri))?;
        let text = self.read(&path).map_err(|_| Fault::resource(uri))?;
        Ok(json!({ "contents": [{ "uri": uri, "mimeType": "text/plain", "text": text }] }))
    }
}

impl Server for Files {
    fn name(&self) -> String {
        "files".into()
    }

    fn capabilities(&self) -> Value {
        json!({ "tools": {}, "resources": {} })
    }

    async fn request(&self, request: Request) -> Result<Value, Fault> {
        match request.method.as_str() {
            "tools/list" => Ok(json!({ "tools": [
                tool("read_file", "Reads a text file.", &["path"]),
                tool("list_files", "Lists the paths of all files.", &[]),
            ]})),
            "tools/call" => self.call(&request),
            "resources/list" => self.resources(),
            "resources/templates/list" => Ok(json!({ "resourceTemplates": [
                { "uriTemplate": "file:///{path}", "name": "file", "description": "A file by its path." },
            ]})),
            "resources/read" => self.resource(&request.params),
            other => Err(Fault::method(other)),
        }
    }
}

/// The URI of a path; everything that is not unreserved is escaped.
fn uri(path: &str) -> String {
    let escaped = path.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    SCHEME.to_owned() + &escaped.collect::<String>()
}

/// Undoes percent-encoding; `None` if an escape is broken or the bytes are not UTF-8.
fn decode(path: &str) -> Option<String> {
    let (mut bytes, mut out) = (path.bytes(), Vec::with_capacity(path.len()));
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}
