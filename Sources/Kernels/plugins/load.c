/* Plugins from files: by name, or those that MAXLINEAR_PLUGIN_PATH names. */
#define _GNU_SOURCE
#include "plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRY "mxl_plugin_entry"
#define REASON_BYTES 504
/* Of the environment; more are not told. */
#define MOST_FAILURES 64

/* One plugin is loaded at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* This thread is loading one: what the plugin calls meanwhile must neither wait for that nor load another. */
static _Thread_local int is_loading;

int mxlk_plugin_is_loading(void) { return is_loading; }
void mxlk_plugin_set_loading(int loading) { is_loading = loading; }

/* A library whose entry has been called: it stays, and so does its host. */
typedef struct opened opened;
struct opened {
  void *library;
  const mxl_host *host;
  int is_registered;
  opened *next;
};
static opened *all_opened;

static opened *opened_of(void *library) {
  opened *at = all_opened;
  while (at != NULL && at->library != library) at = at->next;
  return at;
}

/* Adds the library to the list; NULL when memory is refused. */
static opened *opened_add(void *library) {
  opened *added = mxlk_allocate(sizeof *added);
  const mxl_host *host = added == NULL ? NULL : mxlk_host_create();
  if (host == NULL) {
    mxlk_free(added);
    return NULL;
  }
  *added = (opened){library, host, 0, all_opened};
  all_opened = added;
  return added;
}

/* dlerror's text, without the path that it may begin with. */
static mxl_status refuse_library(const char *path, const mxlk_reason *reason) {
  const char *text = dlerror();
  if (text == NULL) text = "unknown error";
  size_t length = strlen(path);
  if (strncmp(text, path, length) == 0 && text[length] == ':') text += length + 1 + (text[length + 1] == ' ');
  return mxlk_refuse(MXL_INVALID_FILE, reason, "%s, expected a library that can be loaded", text);
}

static mxl_status call_entry(mxl_plugin_entry_function *entry, opened *file, const char *path,
                             const mxlk_reason *reason) {
  const mxl_plugin *plugin = entry(file->host);
  if (plugin == NULL) {
    char said[256];
    mxlk_host_last(file->host, said, sizeof said);
    return mxlk_refuse(MXL_UNSUPPORTED, reason, ENTRY " returned NULL%s%s, expected a plugin", said[0] == 0 ? "" : ": ",
                       said);
  }
  mxl_status status = mxlk_plugin_register(plugin, path, file->host, reason);
  file->is_registered |= status == MXL_OK;
  return status;
}

/* path is absolute and a regular file's. */
static mxl_status load_library(const char *path, const mxlk_reason *reason) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return refuse_library(path, reason);
  opened *file = opened_of(library);
  if (file != NULL) {
    dlclose(library); /* counted twice */
    if (file->is_registered) return MXL_OK;
  }
  mxl_plugin_entry_function *entry = (mxl_plugin_entry_function *)dlsym(library, ENTRY);
  if (entry == NULL) {
    dlclose(library);
    return mxlk_refuse(MXL_INVALID_FILE, reason, "lacks a function, expected " ENTRY);
  }
  if (file == NULL && (file = opened_add(library)) == NULL) {
    dlclose(library);
    return mxlk_refuse(MXL_OUT_OF_MEMORY, reason, "memory ran out, expected some for the plugin's host");
  }
  return call_entry(entry, file, path, reason);
}

static mxl_status load(const char *path, const mxlk_reason *reason) {
  char absolute[PATH_MAX];
  if (realpath(path, absolute) == NULL)
    return mxlk_refuse(MXL_IO, reason, "%s, expected a file that can be opened", strerror(errno));
  if (mxlk_registered_plugin(NULL, absolute) != NULL) return MXL_OK;
  mxl_status status = mxlk_plugin_file_check(absolute, reason);
  return status == MXL_OK ? load_library(absolute, reason) : status;
}

/* Whoever held it is not in the child. */
static void after_fork(void) { lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }
static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

static mxl_status load_alone(const char *path, const mxlk_reason *reason) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  pthread_mutex_lock(&lock);
  is_loading = 1;
  mxl_status status = load(path, reason);
  is_loading = 0;
  pthread_mutex_unlock(&lock);
  return status;
}

mxl_status mxlk_plugin_load(const char *path, char *reason, size_t capacity) {
  mxlk_reason why = {reason, capacity};
  if (is_loading)
    return mxlk_refuse(MXL_UNSUPPORTED, &why, "is asked for by a plugin that is being loaded, expected this after it");
  mxlk_plugins_first_use();
  return load_alone(path, &why);
}

/* Written during the first use only, read afterwards. */
static mxlk_plugin_failure failures[MOST_FAILURES];
static size_t failure_count;

static void note_failure(const char *path, const char *reason) {
  size_t path_bytes = strlen(path) + 1, reason_bytes = strlen(reason) + 1;
  char *kept = failure_count == MOST_FAILURES ? NULL : mxlk_allocate(path_bytes + reason_bytes);
  if (kept == NULL) return;
  failures[failure_count++] = (mxlk_plugin_failure){
      memcpy(kept, path, path_bytes),
      memcpy(kept + path_bytes, reason, reason_bytes),
  };
}

static void load_from_environment(const char *path) {
  char text[REASON_BYTES];
  if (load_alone(path, &(mxlk_reason){text, sizeof text}) != MXL_OK) note_failure(path, text);
}

static int is_library(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void load_folder(const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, is_library, by_bytes);
  if (count < 0) {
    note_failure(folder, strerror(errno));
    return;
  }
  for (int i = 0; i < count; i++) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    if (length > 0 && (size_t)length < sizeof path)
      load_from_environment(path);
    else
      note_failure(folder, "has a path that is too long");
    free(entries[i]);
  }
  free(entries);
}

static void load_environment(void) {
#ifdef __linux__
  const char *list = secure_getenv("MAXLINEAR_PLUGIN_PATH");
#else
  const char *list = getenv("MAXLINEAR_PLUGIN_PATH");
#endif
  while (list != NULL && *list != 0) {
    size_t length = strcspn(list, ":");
    char path[PATH_MAX];
    if (length >= sizeof path) {
      note_failure("MAXLINEAR_PLUGIN_PATH", "has a path that is too long");
    } else if (length > 0) {
      memcpy(path, list, length);
      path[length] = 0;
      struct stat information;
      if (stat(path, &information) == 0 && S_ISDIR(information.st_mode))
        load_folder(path);
      else
        load_from_environment(path);
    }
    list += length + (list[length] == ':');
  }
}

void mxlk_plugins_first_use(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!is_loading) pthread_once(&once, load_environment);
}

size_t mxlk_plugin_failure_count(void) {
  mxlk_plugins_first_use();
  return failure_count;
}

const mxlk_plugin_failure *mxlk_plugin_failure_at(size_t index) {
  return index < mxlk_plugin_failure_count() ? &failures[index] : NULL;
}
