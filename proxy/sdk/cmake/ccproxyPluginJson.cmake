# Writes plugin.json beside a plugin's object: cmake -DOBJECT=... -DNAME=... -DVERSION=... -DABI=... -P this.
# Neither may be writable for others, or ccproxy does not load it.
get_filename_component(folder ${OBJECT} DIRECTORY)
file(SHA256 ${OBJECT} sha256)
file(WRITE ${folder}/plugin.json
"{
  \"name\": \"${NAME}\",
  \"version\": \"${VERSION}\",
  \"abi\": \"${ABI}\",
  \"sha256\": \"${sha256}\"
}
")
set(readable OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(executable OWNER_EXECUTE GROUP_EXECUTE WORLD_EXECUTE)
file(CHMOD ${folder}/plugin.json FILE_PERMISSIONS ${readable})
file(CHMOD ${OBJECT} FILE_PERMISSIONS ${readable} ${executable})
file(CHMOD ${folder} DIRECTORY_PERMISSIONS ${readable} ${executable})
