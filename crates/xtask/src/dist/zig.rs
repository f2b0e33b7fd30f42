//! Zig, whose C compiler and linker know every target, with its C library.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use super::command::{install_from_debian, run, succeeds};
use super::target::Target;
use crate::error::Error;

/// The version decides on bytes of the executables.
const VERSION: &str = "0.17.1";

/// An installed Zig.
pub struct Zig {
    folder: PathBuf,
}

impl Zig {
    /// The Zig in `tools`, which is installed as a Python package if it is not there.
    pub fn install(tools: &Path) -> Result<Self, Error> {
        let folder = tools.join(format!("zig-{VERSION}"));
        if !folder.exists() {
            println!("installing Zig {VERSION} in {}", folder.display());
            let pip = || {
                let mut pip = Command::new("python3");
                pip.args(["-m", "pip"]);
                pip
            };
            if !succeeds(pip().arg("--version")) {
                install_from_debian(&["python3-pip"])?;
            }
            // It gets its name when it is complete.
            let part = tools.join(format!("zig-{}.part", process::id()));
            run(pip()
                .args(["install", "--quiet", "--no-deps", "--target"])
                .arg(&part)
                .arg(format!("ziglang=={VERSION}")))?;
            fs::rename(&part, &folder).map_err(Error::file("rename", &part))?;
        }
        let zig = Self { folder: folder.join("ziglang") };
        zig.write("zig-cc", include_str!("cc.sh"))?;
        zig.write("zig-ar", include_str!("ar.sh"))?;
        Ok(zig)
    }

    /// Writes a script beside Zig.
    fn write(&self, name: &str, script: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        fs::write(&path, script).map_err(Error::file("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(Error::file("make executable", &path))
    }

    /// Lets cargo, and the build scripts that it runs, compile and link for the target by Zig.
    pub fn serve(&self, cargo: &mut Command, target: &Target) {
        let variable = target.variable();
        let cc = self.folder.join("zig-cc");
        cargo
            .env("ZIG", self.folder.join("zig"))
            .env("ZIG_TARGET", target.zig)
            .env("ZIG_GLOBAL_CACHE_DIR", self.folder.with_file_name("cache"))
            // Where compilers for macOS look for its libraries.
            .env("SDKROOT", self.folder.join("lib/libc/darwin"))
            .env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), &cc)
            .env(format!("CC_{variable}"), &cc)
            .env(format!("AR_{variable}"), self.folder.join("zig-ar"));
    }
}
