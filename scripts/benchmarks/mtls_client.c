/*
 * What the engine is measured against: the least that a client in C does for the same work.
 *
 *     mtls_client HOST PORT NAME CA CERTIFICATE KEY PATH REQUESTS CONCURRENCY
 *
 * REQUESTS times, CONCURRENCY at once, from one thread with epoll: a fresh TCP connection to the
 * numeric IPv4 address HOST, a full TLS 1.2 or 1.3 handshake with a client certificate, the
 * server's chain and NAME verified, one GET, and the answer read whole. No session is resumed.
 *
 * Prints {"ok": N, "elapsed_s": S} and exits 0 when every request was answered 200 with as many
 * bytes as announced. Anything else ends it at once, with a line on stderr and status 1: this is
 * a yardstick and not a tool, so it has neither timeouts nor a diagnosis.
 *
 *     cc -O2 -o mtls_client mtls_client.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, ANSWER_LIMIT = 16384 };

enum phase { CONNECTING, HANDSHAKING, READING };

struct connection {
    int fd;
    SSL *tls;
    enum phase phase;
    size_t length;
    char answer[ANSWER_LIMIT + 1];
};

static struct sockaddr_in address;
static const char *name;
static SSL_CTX *context;
static int poller;
static char request[2048];
static int request_length;

static void fail(const char *what)
{
    fprintf(stderr, "mtls_client: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

/* Verification as the engine has it (services/probe/target.py, client_context): TLS 1.2 or newer,
 * chain verified against CA alone, which may be an intermediate (PARTIAL_CHAIN). */
static SSL_CTX *new_context(const char *ca, const char *certificate, const char *key)
{
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    if (made == NULL
        || !SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION)
        || !SSL_CTX_load_verify_locations(made, ca, NULL)
        || SSL_CTX_use_certificate_chain_file(made, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(made, key, SSL_FILETYPE_PEM) != 1)
        fail("CA, certificate or key");
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(made), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
    return made;
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = connection };
    if (epoll_ctl(poller, operation, connection->fd, &event) != 0)
        fail("epoll_ctl");
}

static void begin(void)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        fail("calloc");
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        fail("socket");
    /* The request must not wait for the acknowledgement of the handshake's last flight. */
    int yes = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0
        && errno != EINPROGRESS)
        fail("connect");
    watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void connected(struct connection *connection)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        fail(strerror(error));
    connection->tls = SSL_new(context);
    if (connection->tls == NULL
        || !SSL_set_fd(connection->tls, connection->fd)
        || !SSL_set_tlsext_host_name(connection->tls, name)
        || !SSL_set1_host(connection->tls, name))
        fail("SSL_new");
    SSL_set_connect_state(connection->tls);
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    connection->phase = HANDSHAKING;
}

/* Whether libssl only waits for more to read; every message here fits into the send buffer. */
static int wants_more(struct connection *connection, int result)
{
    return SSL_get_error(connection->tls, result) == SSL_ERROR_WANT_READ;
}

static int shaken_hands(struct connection *connection)
{
    int result = SSL_do_handshake(connection->tls);
    if (result != 1) {
        if (!wants_more(connection, result))
            fail("handshake");
        return 0;
    }
    if (SSL_write(connection->tls, request, request_length) != request_length)
        fail("write");
    connection->phase = READING;
    return 1;
}

/* Read what there is; 1 when the other side has ended the connection. */
static int read_to_the_end(struct connection *connection)
{
    for (;;) {
        size_t room = ANSWER_LIMIT - connection->length;
        int got = SSL_read(connection->tls, connection->answer + connection->length, room);
        if (got <= 0)
            return !wants_more(connection, got);
        connection->length += got;
        if (connection->length == ANSWER_LIMIT)
            fail("the answer is too large");
    }
}

static int is_whole(struct connection *connection)
{
    const char *body, *announced;
    connection->answer[connection->length] = 0;
    body = strstr(connection->answer, "\r\n\r\n");
    announced = strcasestr(connection->answer, "\r\ncontent-length:");
    return strncmp(connection->answer, "HTTP/1.1 200 ", 13) == 0
        && body != NULL && announced != NULL && announced < body
        && strtoul(announced + 17, NULL, 10)
            == connection->length - (size_t)(body + 4 - connection->answer);
}

static void end(struct connection *connection)
{
    if (!is_whole(connection))
        fail("the answer is not a whole 200");
    close(connection->fd);
    SSL_free(connection->tls);
    free(connection);
}

/* Go on with a connection that has news; 1 when its request is done. */
static int serve(struct connection *connection)
{
    switch (connection->phase) {
    case CONNECTING:
        connected(connection);
        shaken_hands(connection); /* sends the ClientHello */
        return 0;
    case HANDSHAKING:
        if (!shaken_hands(connection))
            return 0;
        /* The answer may lie there already. */
        /* fall through */
    default:
        if (!read_to_the_end(connection))
            return 0;
        end(connection);
        return 1;
    }
}

int main(int count, char **words)
{
    if (count != 10) {
        fprintf(stderr, "usage: mtls_client HOST PORT NAME CA CERTIFICATE KEY PATH REQUESTS"
                        " CONCURRENCY\n");
        return 2;
    }
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(words[2]));
    if (inet_pton(AF_INET, words[1], &address.sin_addr) != 1)
        fail("HOST is not an IPv4 address");
    name = words[3];
    context = new_context(words[4], words[5], words[6]);
    request_length = snprintf(request, sizeof request,
                              "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nlb-mtls\r\n"
                              "Accept: */*\r\nConnection: close\r\n\r\n", words[7], name);
    if (request_length >= (int)sizeof request)
        fail("PATH is too long");
    int requests = atoi(words[8]), concurrency = atoi(words[9]);
    poller = epoll_create1(0);

    double began = now_s();
    struct epoll_event events[EVENTS];
    for (int begun = 0, done = 0; done < requests;) {
        for (; begun < requests && begun - done < concurrency; begun++)
            begin();
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int each = 0; each < ready; each++)
            done += serve(events[each].data.ptr);
    }
    printf("{\"ok\": %d, \"elapsed_s\": %.6f}\n", requests, now_s() - began);
    return 0;
}
