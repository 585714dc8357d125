/* The first program of the guest: loads the modules for the disk, mounts it and executes systemd. Debian's
 * initial file system does the same, but takes ten times as long under emulation. Built statically by
 * image.sh. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTEMPTS 1000 /* 10 ms each */

static int fail(const char *step)
{
	perror(step);
	sleep(2);
	return 1;
}

int main(void)
{
	mkdir("/dev", 0755);
	mkdir("/root", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, "mode=0755"))
		return fail("mount /dev");
	int console = open("/dev/console", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(console, fd);
	FILE *list = fopen("/modules", "r");
	char name[256];
	while (list && fgets(name, sizeof name, list)) {
		name[strcspn(name, "\n")] = 0;
		int module = open(name, O_RDONLY | O_CLOEXEC);
		if (module < 0 || syscall(SYS_finit_module, module, "", 0))
			perror(name);
		close(module);
	}
	/* The disk appears some time after its driver is loaded. */
	int left = ATTEMPTS;
	while (mount("/dev/vda", "/root", "ext4", 0, "") && --left)
		usleep(10000);
	if (!left)
		return fail("mount /dev/vda");
	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) || chdir("/root") ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."))
		return fail("enter the disk");
	char *const arguments[] = {"/sbin/init", NULL};
	execv(arguments[0], arguments);
	return fail("/sbin/init");
}
