/*
 * A disk that is slow, or full, for one process: preloaded, it stands between the process and the calls that write. What
 * it does is in a file of two 64-bit numbers, "disk-faults", beside the folder that --data-dir= or DISK_FAULTS_FOLDER
 * names: microseconds that each sync takes longer, and bytes by which files may still grow (negative: any number). Only
 * files below that folder are held to it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
  volatile int64_t sync_delay_us;
  volatile int64_t free_bytes;
};

static struct faults *faults;
static char folder[4096];

static void obey(const char *data) {
  snprintf(folder, sizeof folder, "%s/", data);
  /* The data folder itself may not be there yet. */
  char path[4200];
  const char *last = strrchr(data, '/');
  snprintf(path, sizeof path, "%.*s/disk-faults", last == NULL ? 0 : (int)(last - data), data);
  int control = open(path, O_RDWR);
  if (control < 0) return;
  void *mapped = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
  if (mapped != MAP_FAILED) faults = mapped;
  close(control);
}

__attribute__((constructor)) static void find_faults(void) {
  const char *named = getenv("DISK_FAULTS_FOLDER");
  if (named != NULL) {
    obey(named);
    return;
  }
  static char arguments[65536];
  int file = open("/proc/self/cmdline", O_RDONLY);
  ssize_t length = read(file, arguments, sizeof arguments - 1);
  close(file);
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(arguments + at) + 1) {
    static const char flag[] = "--data-dir=";
    if (strncmp(arguments + at, flag, sizeof flag - 1) == 0) obey(arguments + at + sizeof flag - 1);
  }
}

static int is_ours(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

/* How much of what is to be written at `position` there is room for; -1 where there is room for none of it. */
static int64_t room(int file, int64_t position, int64_t length) {
  struct stat now;
  if (faults == NULL || faults->free_bytes < 0 || !is_ours(file) || fstat(file, &now) != 0) return length;
  /* Blocks that are there are written over; holes and what lies behind the end need new ones. */
  int64_t there = (int64_t)now.st_blocks * 512;
  int64_t end = there < now.st_size ? there : now.st_size;
  int64_t grows = position + length - end;
  if (grows <= 0) return length;
  if (grows > length) grows = length;
  int64_t left = __sync_sub_and_fetch(&faults->free_bytes, grows);
  if (left >= 0) return length;
  faults->free_bytes = 0;
  int64_t fits = length + left;
  if (fits > 0) return fits;
  errno = ENOSPC;
  return -1;
}

static void delay(int file) {
  if (faults == NULL || faults->sync_delay_us <= 0 || (file >= 0 && !is_ours(file))) return;
  int64_t us = faults->sync_delay_us;
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int64_t total(const struct iovec *parts, int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; i++) sum += (int64_t)parts[i].iov_len;
  return sum;
}

#define WRITE(name, offset_type)                                                               \
  ssize_t name(int file, const void *bytes, size_t length, offset_type position) {             \
    int64_t fits = room(file, position, (int64_t)length);                                      \
    return fits < 0 ? -1 : NEXT(name)(file, bytes, (size_t)fits, position);                    \
  }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

#define WRITEV(name, offset_type)                                                              \
  ssize_t name(int file, const struct iovec *parts, int count, offset_type position) {         \
    int64_t length = total(parts, count);                                                      \
    int64_t fits = room(file, position, length);                                               \
    if (fits < 0) return -1;                                                                   \
    if (fits == length) return NEXT(name)(file, parts, count, position);                       \
    size_t first = parts[0].iov_len < (size_t)fits ? parts[0].iov_len : (size_t)fits;          \
    return pwrite(file, parts[0].iov_base, first, position);                                   \
  }
WRITEV(pwritev, off_t)
WRITEV(pwritev64, off64_t)

#define SYNC(name)                                                                             \
  int name(int file) {                                                                         \
    delay(file);                                                                               \
    return NEXT(name)(file);                                                                   \
  }
SYNC(fdatasync)
SYNC(fsync)

int msync(void *address, size_t length, int flags) {
  delay(-1);
  return NEXT(msync)(address, length, flags);
}
