// Runs lifetimes_program as a process of its own, on request in a sandbox that denies membarrier(2).
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace hotindex::tests {

/// What a sandbox does with membarrier(2).
struct Sandbox {
    enum Denies { nothing, everything, expedited_only } denies = nothing;
    int error = EPERM; ///< what it answers
};

/// Closes the sandbox around the calling process, for good. false: the kernel refuses.
inline bool close_sandbox(Sandbox sandbox) {
    if (sandbox.denies == Sandbox::nothing)
        return true;
    const std::uint32_t answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(sandbox.error);
    std::vector<sock_filter> filter{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (sandbox.denies == Sandbox::everything) {
        filter.erase(filter.begin() + 2, filter.begin() + 4);
        filter[1].jf = 1;
    }
    sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct Ended {
    int status = -1;    ///< exit status, 128 + signal
    std::string output; ///< both streams
};

/// `command`: the program and its arguments. Ends it after two minutes.
inline Ended run_program(std::vector<std::string> command, Sandbox sandbox = {}) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (std::string& each : command)
        arguments.push_back(each.data());
    arguments.push_back(nullptr);
    std::array<int, 2> pipe_ends{};
    if (pipe(pipe_ends.data()) != 0)
        return {};
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        alarm(120);
        if (!close_sandbox(sandbox))
            _exit(125);
        execv(arguments[0], arguments.data());
        _exit(126);
    }
    close(pipe_ends[1]);
    Ended ended;
    std::array<char, 4096> some{};
    for (ssize_t n = 0; child > 0 && (n = read(pipe_ends[0], some.data(), some.size())) != 0;)
        if (n > 0)
            ended.output.append(some.data(), static_cast<std::size_t>(n));
        else if (errno != EINTR)
            break;
    close(pipe_ends[0]);
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child)
        ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ended;
}

} // namespace hotindex::tests
