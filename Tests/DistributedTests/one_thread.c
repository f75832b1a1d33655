/* Stands before MPI's functions, and counts calls that began while another thread was in one. */
#include <mpi.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_int inside, overlaps;

int overlapping_calls(void) { return overlaps; }

static void enter(void) {
  if (atomic_fetch_add(&inside, 1) > 0) atomic_fetch_add(&overlaps, 1);
  sched_yield(); /* so that others get the chance */
}
static int leave(int code) {
  atomic_fetch_sub(&inside, 1);
  return code;
}

int MPI_Irecv(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request *request) {
  enter();
  return leave(PMPI_Irecv(data, count, type, from, tag, comm, request));
}
int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request) {
  enter();
  return leave(PMPI_Isend(data, count, type, to, tag, comm, request));
}
int MPI_Testsome(int count, MPI_Request requests[], int *done, int indices[], MPI_Status statuses[]) {
  enter();
  return leave(PMPI_Testsome(count, requests, done, indices, statuses));
}
int MPI_Test(MPI_Request *request, int *done, MPI_Status *status) {
  enter();
  return leave(PMPI_Test(request, done, status));
}
int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *there, MPI_Status *status) {
  enter();
  return leave(PMPI_Iprobe(from, tag, comm, there, status));
}
int MPI_Comm_free(MPI_Comm *comm) {
  enter();
  return leave(PMPI_Comm_free(comm));
}
